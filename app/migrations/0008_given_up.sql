-- What was given up is looked for among all that was decided. The words are those of the query (`store::listing`).
CREATE INDEX delivery_given_up ON delivery (received_at) WHERE decision LIKE '%"is_given_up":true%';
