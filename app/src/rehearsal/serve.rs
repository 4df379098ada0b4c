//! The sockets of the rehearsal: an axum server that hands requests to the API and to git.

use std::{collections::BTreeMap, io, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Query, Request, State},
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::{
    Shared, page,
    rest::{self, Outcome},
    smart_http::{self, PACK_BYTES_MAX},
};

/// The most bytes of a request to the API.
pub(super) const REQUEST_BYTES_MAX: usize = 8 << 20;

const API: &str = "/api/v3";
/// Where the logs of jobs are, by their numbers. On github.com that is another host.
pub(super) const LOGS: &str = "/_logs/";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path();
    if let Some(path) = path.strip_prefix(API) {
        let path = path.to_owned();
        return handle_rest(shared, path, request).await;
    }
    if let Some(id) = path.strip_prefix(LOGS) {
        let id = id.parse().ok();
        return handle_log(&shared, id, &request);
    }
    if path.contains(".git/") {
        return handle_git(shared, request).await;
    }
    let path = path.to_owned();
    let page = tokio::task::spawn_blocking(move || shared.with(|world| page::render(world, &path))).await.ok().flatten();
    let headers = [
        ("content-type".to_owned(), "text/html; charset=utf-8".to_owned()),
        ("content-security-policy".to_owned(), "default-src 'none'".to_owned()),
    ];
    match page {
        Some(page) => response(StatusCode::OK, &headers, Body::from(page)),
        None => response(StatusCode::NOT_FOUND, &[], Body::from("There is no such page in this rehearsal.\n")),
    }
}

async fn handle_rest(shared: Arc<Shared>, path: String, request: Request) -> Response {
    let query = Query::<BTreeMap<String, String>>::try_from_uri(request.uri()).map(|query| query.0).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_BYTES_MAX).await else {
        return response(StatusCode::PAYLOAD_TOO_LARGE, &[], Body::empty());
    };
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (authorization, if_none_match) = (header(header::AUTHORIZATION), header(header::IF_NONE_MATCH));
    let (method, body) = (parts.method.to_string(), body.to_vec());
    let request = rest::Request { method, path, query, authorization, if_none_match, body };
    let answered = tokio::task::spawn_blocking(move || shared.with(|world| rest::answer(world, &request))).await;
    match answered {
        Ok(Outcome::Answered(answer)) => rest_response(answer),
        Ok(Outcome::Disconnected) => broken(),
        Ok(Outcome::Silent) => std::future::pending().await,
        Err(error) => {
            tracing::error!(%error, "an operation of the rehearsal did not end well");
            response(StatusCode::INTERNAL_SERVER_ERROR, &[], Body::empty())
        }
    }
}

/// Gives a job's log to whoever has its address. What knows who asks is refused, as by the stores in which GitHub keeps logs.
fn handle_log(shared: &Shared, id: Option<u64>, request: &Request) -> Response {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return response(StatusCode::BAD_REQUEST, &[], Body::empty());
    }
    match id.and_then(|id| shared.with(|world| world.log(id))) {
        Some(log) => response(StatusCode::OK, &[("content-type".to_owned(), "text/plain".to_owned())], Body::from(log)),
        None => response(StatusCode::NOT_FOUND, &[], Body::empty()),
    }
}

fn rest_response(answer: rest::Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers: Vec<(String, String)> = answer.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if answer.body.is_null() {
        return response(status, &headers, Body::empty());
    }
    headers.push(("content-type".to_owned(), "application/json; charset=utf-8".to_owned()));
    response(status, &headers, Body::from(answer.body.to_string()))
}

async fn handle_git(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, PACK_BYTES_MAX).await else {
        return response(StatusCode::PAYLOAD_TOO_LARGE, &[], Body::empty());
    };
    let request = smart_http::Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    // A push that has begun is done also where its sender is gone: git has moved the branch, and the world has to hear of it.
    match tokio::spawn(smart_http::answer(shared, request)).await {
        Ok(smart_http::Answer::Response { status, headers, body }) => response(status, &headers, Body::from(body)),
        Ok(smart_http::Answer::Disconnect) => broken(),
        Ok(smart_http::Answer::Silent) => std::future::pending().await,
        Err(error) => {
            tracing::error!(%error, "git's answer did not end well");
            response(StatusCode::INTERNAL_SERVER_ERROR, &[], Body::empty())
        }
    }
}

fn response(status: StatusCode, headers: &[(String, String)], body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// An answer whose body fails at once, upon which the server breaks the connection.
fn broken() -> Response {
    let failing = futures_util::stream::once(async { Err::<bytes::Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
    Response::new(Body::from_stream(failing))
}
