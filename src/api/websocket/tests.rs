use std::future::poll_fn;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::*;

const MAX_MESSAGE: usize = 100_000;

/// A server's socket and a client of another library, over a pipe of so many bytes.
async fn pair(pipe: usize) -> (WebSocket<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = duplex(pipe);
    (WebSocket::new(ours, MAX_MESSAGE), WebSocketStream::from_raw_socket(theirs, Role::Client, None).await)
}

async fn next(socket: &mut WebSocket<DuplexStream>) -> Result<Incoming, Broken> {
    poll_fn(|cx| {
        if let Poll::Ready(Err(_)) = socket.poll_write(cx) {
            return Poll::Ready(Err(Broken::Gone));
        }
        socket.poll_read(cx)
    })
    .await
}

#[tokio::test]
async fn texts_go_both_ways_whatever_their_length() {
    for pipe in [1, 100, 1_000_000] {
        let (mut server, mut client) = pair(pipe).await;
        let texts: Vec<String> =
            [0, 1, 125, 126, 5_000, 70_000, 3].map(|len| "\u{e4}".repeat(len / 2)).into();
        let echo = async {
            for text in &texts {
                match next(&mut server).await.unwrap() {
                    Incoming::Text(found) => assert_eq!(&found, text),
                    other => panic!("{other:?}"),
                }
                server.push(Outgoing::Text(text.clone())).unwrap();
            }
            poll_fn(|cx| server.poll_write(cx)).await.unwrap();
            assert!(server.rest.is_empty());
        };
        let ask = async {
            for text in &texts {
                client.send(Message::text(text.clone())).await.unwrap();
                assert_eq!(client.next().await.unwrap().unwrap(), Message::text(text.clone()));
            }
        };
        tokio::join!(echo, ask);
    }
}

#[tokio::test]
async fn several_messages_that_come_at_once_are_taken_one_by_one() {
    let (mut server, mut client) = pair(1_000_000).await;
    for number in 0..1_000 {
        client.feed(Message::text(number.to_string())).await.unwrap();
    }
    client.flush().await.unwrap();
    for number in 0..1_000 {
        assert_eq!(next(&mut server).await.unwrap(), Incoming::Text(number.to_string()));
    }
    drop(client);
    assert!(matches!(next(&mut server).await, Err(Broken::Gone)));
}

#[tokio::test]
async fn pings_and_the_close_are_answered() {
    let (mut server, mut client) = pair(1_000_000).await;
    client.send(Message::Ping("there?".into())).await.unwrap();
    assert_eq!(next(&mut server).await.unwrap(), Incoming::Ping(b"there?".to_vec()));
    let close = CloseFrame { code: 4_000.into(), reason: "bye".into() };
    client.send(Message::Close(Some(close))).await.unwrap();
    assert_eq!(next(&mut server).await.unwrap(), Incoming::Close(Some(4_000)));
    poll_fn(|cx| server.poll_write(cx)).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("there?".into()));
    match client.next().await.unwrap().unwrap() {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 4_000),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_close_reaches_a_client_whose_message_was_refused() {
    let (mut server, mut client) = pair(1_000).await;
    let serve = async {
        let refused = next(&mut server).await;
        assert!(matches!(refused, Err(Broken::Violation(Violation::TooLong))), "{refused:?}");
        server.push(Outgoing::Close(Some(1009), "too_large")).unwrap();
        server.turn_deaf();
        assert_eq!(next(&mut server).await.unwrap(), Incoming::Close(Some(1009)));
    };
    let ask = async {
        client.send(Message::binary(vec![0; 2 * MAX_MESSAGE])).await.unwrap();
        match client.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => assert_eq!(frame.reason.as_str(), "too_large"),
            other => panic!("{other:?}"),
        }
        let _ = client.flush().await;
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn a_client_that_closes_its_connection_in_a_message_is_gone() {
    let (ours, mut theirs) = duplex(100);
    let mut server = WebSocket::new(ours, MAX_MESSAGE);
    theirs.write_all(&[0x81, 0x85, 0, 0, 0, 0, b'H', b'e']).await.unwrap();
    drop(theirs);
    assert!(matches!(next(&mut server).await, Err(Broken::Gone)));
}

#[tokio::test]
async fn what_is_pushed_waits_for_a_client_that_does_not_read() {
    let (ours, mut theirs) = duplex(10);
    let mut server = WebSocket::new(ours, MAX_MESSAGE);
    server.push(Outgoing::Text("x".repeat(100))).unwrap();
    let first = poll_fn(|cx| Poll::Ready(server.poll_write(cx).is_pending())).await;
    assert!(first && !server.backlog.is_empty());
    let mut read = [0; 102];
    let (written, got) =
        tokio::join!(poll_fn(|cx| server.poll_write(cx)), async { theirs.read_exact(&mut read).await });
    assert!(written.is_ok() && got.is_ok());
    assert_eq!(read[..2], [0x81, 100]);
}
