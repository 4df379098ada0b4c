-- What was given up is looked for among all that was decided. The words are those of the query (`store::listing`). While the index
-- is made, deliveries wait for it; those that wait for longer than 10 s are refused, and asked for again by the sweep.
CREATE INDEX delivery_given_up ON delivery (received_at, number) WHERE decision LIKE '%"is_given_up":true%';
