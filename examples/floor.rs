//! The yardstick of `benches/load`: bare hyper that sends a file's bytes with the headers of the page.
//!
//! `floor ADDRESS FILE HEAD` prints the URL it serves and runs until it is killed. HEAD is a file of the page's status line and
//! headers, as curl's `-D` writes it.

use std::{convert::Infallible, env, error::Error, fs};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    header::{CONTENT_LENGTH, DATE, HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime, task};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [address, file, head] = &arguments[..] else { return Err("usage: floor ADDRESS FILE HEAD".into()) };
    let (page, headers) = (Bytes::from(fs::read(file)?), headers(&fs::read_to_string(head)?)?);
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok(runtime.block_on(serve(address, page, headers))?)
}

/// The headers of an answer, without those that hyper adds by itself.
fn headers(head: &str) -> Result<HeaderMap, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().filter_map(|line| line.trim_end().split_once(": ")) {
        headers.append(name.parse::<HeaderName>()?, value.parse::<HeaderValue>()?);
    }
    headers.remove(DATE);
    headers.remove(CONTENT_LENGTH);
    Ok(headers)
}

async fn serve(address: &str, page: Bytes, headers: HeaderMap) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/metrics", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let (page, headers) = (page.clone(), headers.clone());
        task::spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| {
                let answer = answer(page.clone(), headers.clone());
                async move { Ok::<_, Infallible>(answer) }
            });
            // A client that hangs up in between is no concern here.
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(page: Bytes, headers: HeaderMap) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(page));
    *answer.headers_mut() = headers;
    answer
}
