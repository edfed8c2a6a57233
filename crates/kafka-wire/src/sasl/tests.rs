//! Conversations of our client with our server, and with servers that lie.

use super::{
    server::{SaslServer, ServerStep},
    *,
};

fn credentials(mechanism: Mechanism, username: &str, password: &str) -> Credentials {
    Credentials { mechanism, username: username.to_owned(), password: password.into() }
}

fn users(user: &str) -> Option<Secret> {
    match user {
        "alice" => Some("pencil".into()),
        "us=er,1" => Some("päss".into()),
        _ => None,
    }
}

/// A whole conversation: what the client ends with, and who the server thinks it is.
fn converse(mechanism: Mechanism, username: &str, password: &str) -> Result<String, SaslError> {
    let mut client = SaslClient::new(&credentials(mechanism, username, password))?;
    let mut server = SaslServer::new(mechanism, users);
    let mut message = client.initial()?;
    loop {
        match server.respond(&message)? {
            ServerStep::Send(challenge) => match client.respond(&challenge)? {
                SaslStep::Send(answer) => message = answer,
                SaslStep::Done => panic!("the client is done before the server"),
            },
            ServerStep::Done(last, user) => {
                assert_eq!(client.respond(&last)?, SaslStep::Done);
                return Ok(user);
            }
        }
    }
}

#[test]
fn every_mechanism_lets_the_right_user_in_and_nobody_else() {
    for mechanism in Mechanism::WITH_PASSWORD {
        for (user, password) in [("alice", "pencil"), ("us=er,1", "päss")] {
            assert_eq!(converse(mechanism, user, password), Ok(user.to_owned()), "{mechanism}");
        }
        for (user, password) in
            [("alice", "pencil "), ("alice", "päss"), ("bob", "pencil"), ("us=er", "päss")]
        {
            let error = converse(mechanism, user, password).unwrap_err();
            assert_eq!(error, SaslError::WrongCredentials, "{mechanism} {user}");
            assert!(error.is_wrong_credentials());
            assert!(!error.to_string().contains(password));
        }
    }
}

/// The proofs and signatures were computed by Python's `hashlib` and `hmac`.
#[test]
fn known_conversations() {
    fn check(mechanism: Mechanism, server_first: &str, proof: &str, signature: &str) {
        let mut server = SaslServer::new(mechanism, users).with_nonce("XYZ");
        let first = server.respond(b"n,,n=us=3Der=2C1,r=abc");
        assert_eq!(first, Ok(ServerStep::Send(server_first.as_bytes().to_vec())));
        let done = server.respond(format!("c=biws,r=abcXYZ,p={proof}").as_bytes());
        assert_eq!(
            done,
            Ok(ServerStep::Done(format!("v={signature}").into_bytes(), "us=er,1".to_owned()))
        );
    }
    check(
        Mechanism::ScramSha256,
        "r=abcXYZ,s=xHpyFQT1sOWqSjHrrK1xkA==,i=4096",
        "Q4eO9NQf2M5uXcltliwH0NtmW5KN/xw3uY7uvL3Nqh8=",
        "R1q61zVXpWE0pWNGL1jGNw3sSjDEElu4guqvy+bMK7A=",
    );
    check(
        Mechanism::ScramSha512,
        "r=abcXYZ,s=f+vmK3G6/iFLqcc0NoNeig==,i=4096",
        "RkaDQMrMtpm6RwJ2UVTJ9ITd/wVQ1YWcAEkC0uKEDZRLiJ2NmPq9kQWhtdcYh8EJ6oGGe4VOpbSp6NFiSWmBqA==",
        "6IpJsEPv+0j4ykbQ7UTwcBvVyhx+hSxTIo5wYuJxKIYYIl7zM4TVHmPpnojZxU2r3SNG6TBgJp6wOmGgyNAygQ==",
    );
}

/// A client that has sent its first message, and its nonce.
fn waiting() -> (SaslClient, String) {
    let mut client =
        SaslClient::new(&credentials(Mechanism::ScramSha256, "alice", "pencil")).unwrap();
    let message = String::from_utf8(client.initial().unwrap()).unwrap();
    let nonce = message.strip_prefix("n,,n=alice,r=").unwrap().to_owned();
    (client, nonce)
}

#[test]
fn server_first_messages_that_must_not_pass() {
    fn check(message: &str, expected: &str) {
        let (mut client, nonce) = waiting();
        let error = client.respond(message.replace("NONCE", &nonce).as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{message}: {error}");
        assert_eq!(
            client.respond(b"v=AAAA"),
            Err(SaslError::OutOfTurn("a challenge")),
            "an error ends it"
        );
    }
    check("r=other,s=c2FsdA==,i=4096", "does not extend ours");
    check("r=NONCE,s=c2FsdA==,i=4096", "does not extend ours");
    check("r=xNONCEx,s=c2FsdA==,i=4096", "does not extend ours");
    check("r=NONCE x,s=c2FsdA==,i=4096", "characters");
    check("r=NONCEx,s=,i=4096", "salt is empty");
    check("r=NONCEx,s=*,i=4096", "salt is not base64");
    check("r=NONCEx,s=c2FsdA==,i=0", "asks for 0 iterations");
    check("r=NONCEx,s=c2FsdA==,i=4095", "asks for 4095 iterations");
    check("r=NONCEx,s=c2FsdA==,i=1000001", "asks for 1000001 iterations");
    check("r=NONCEx,s=c2FsdA==,i=99999999999999999999999", "iterations");
    check("r=NONCEx,s=c2FsdA==,i=+4096", "no number");
    check("r=NONCEx,s=c2FsdA==,i=", "no number");
    check("r=NONCEx,s=c2FsdA==", "no iteration count");
    check("r=NONCEx,i=4096,s=c2FsdA==", "no salt");
    check("s=c2FsdA==,r=NONCEx,i=4096", "begin with a nonce");
    check("m=x,r=NONCEx,s=c2FsdA==,i=4096", "extension");
    check("r=NONCEx,s=c2FsdA==,i=4096,m=x", "extension");
    check("r=NONCEx,s=c2FsdA==,i=4096,r=other", "stands twice");
    check("r=NONCEx,s=c2FsdA==,i=4096,i=1", "stands twice");
    check("r=NONCEx,s=c2FsdA==,i=4096,", "no name");
    check("e=unknown-user", "server refused: unknown-user");
    check("e=bad\nnews\u{1b}[31m", "server refused: an error without a known name");
    check("", "begin with a nonce");
    check(&"x".repeat(10_000), "too long");
}

#[test]
fn extensions_that_may_be_ignored_are() {
    let (mut client, nonce) = waiting();
    let step = client.respond(format!("r={nonce}x,s=c2FsdA==,i=4096,x=y").as_bytes());
    assert!(matches!(step, Ok(SaslStep::Send(_))), "{step:?}");
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    fn check(last: &str, expected: &str) {
        let (mut client, nonce) = waiting();
        client.respond(format!("r={nonce}x,s=c2FsdA==,i=4096").as_bytes()).unwrap();
        let error = client.respond(last.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{last}: {error}");
        assert!(client.respond(last.as_bytes()).is_err());
    }
    check("v=AAAA", "could not prove");
    check("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "could not prove");
    check("v=", "could not prove");
    check("v=*", "no signature");
    check("v=AAAA,v=AAAA", "begin with a signature");
    check("", "begin with a signature");
    check("e=invalid-proof", "refused: invalid-proof");
    check("e=invalid-proof,v=AAAA", "refused: invalid-proof");
}

#[test]
fn names_and_passwords_that_no_broker_accepts() {
    for mechanism in Mechanism::WITH_PASSWORD {
        let check = |username, password, expected| {
            let error = SaslClient::new(&credentials(mechanism, username, password)).unwrap_err();
            assert_eq!(error, expected);
        };
        check("", "x", SaslError::Empty("user name"));
        check("x", "", SaslError::Empty("password"));
        check("x\0y", "x", SaslError::Nul("user name"));
        check("x", "x\0", SaslError::Nul("password"));
    }
}

#[test]
fn messages_out_of_turn() {
    for mechanism in Mechanism::WITH_PASSWORD {
        let mut client = SaslClient::new(&credentials(mechanism, "alice", "pencil")).unwrap();
        assert!(matches!(client.respond(b""), Err(SaslError::OutOfTurn(_))), "{mechanism}");
        let mut client = SaslClient::new(&credentials(mechanism, "alice", "pencil")).unwrap();
        client.initial().unwrap();
        assert_eq!(
            client.initial(),
            Err(SaslError::OutOfTurn("the initial message")),
            "{mechanism}"
        );
    }
}

#[test]
fn a_server_takes_nothing_malformed() {
    fn check(mechanism: Mechanism, message: &[u8]) {
        let error = SaslServer::new(mechanism, users).respond(message).unwrap_err();
        assert!(
            matches!(error, SaslError::Malformed { .. } | SaslError::MandatoryExtension),
            "{error}"
        );
    }
    check(Mechanism::Plain, b"alice\0pencil");
    check(Mechanism::Plain, b"bob\0alice\0pencil");
    check(Mechanism::Plain, b"\0alice\0pencil\0");
    check(Mechanism::Plain, &[0xff]);
    check(Mechanism::ScramSha256, b"");
    check(Mechanism::ScramSha256, b"y,,n=alice,r=abc");
    check(Mechanism::ScramSha256, b"n,,n=alice");
    check(Mechanism::ScramSha256, b"n,,n=alice,r=");
    check(Mechanism::ScramSha256, b"n,,n=al=2Dice,r=abc");
    check(Mechanism::ScramSha256, b"n,,n=alice=2,r=abc");
    check(Mechanism::ScramSha512, b"n,,n=alice,r=abc,m=x");
}

#[test]
fn nothing_secret_shows() {
    let credentials = credentials(Mechanism::ScramSha512, "alice", "hunter2");
    let client = SaslClient::new(&credentials).unwrap();
    let server = SaslServer::new(Mechanism::Plain, users);
    let step = SaslStep::Send(b"hunter2".to_vec());
    let shown = format!(
        "{credentials:?} {client:?} {server:?} {step:?} {:?}",
        ServerStep::Send(b"hunter2".to_vec())
    );
    assert!(!shown.contains("hunter2") && !shown.contains("pencil"), "{shown}");
}

#[test]
fn names_of_mechanisms() {
    for mechanism in Mechanism::ALL {
        assert_eq!(mechanism.to_string().parse(), Ok(mechanism));
    }
    assert!("SCRAM-SHA-1".parse::<Mechanism>().is_err());
}

#[test]
fn a_token_is_sent_as_it_is() {
    let client = |user: &str, token: &str| {
        SaslClient::new(&credentials(Mechanism::OauthBearer, user, token))
    };
    let mut nobody = client("", "abc.def-_~+/=").unwrap();
    assert_eq!(nobody.initial().unwrap(), b"n,,\x01auth=Bearer abc.def-_~+/=\x01\x01");
    assert_eq!(nobody.respond(b""), Ok(SaslStep::Done));
    let mut somebody = client("a,b=c", "t").unwrap();
    assert_eq!(somebody.initial().unwrap(), b"n,a=a=2Cb=3Dc,\x01auth=Bearer t\x01\x01");
    // The server says what is wrong, and wants an answer before it refuses.
    let challenge = br#"{"status":"invalid_token"}"#;
    assert_eq!(somebody.respond(challenge), Ok(SaslStep::Send(vec![1])));
    assert!(matches!(somebody.respond(b""), Err(SaslError::OutOfTurn(_))));
    for wrong in ["a b", "a\u{1}b", "a\nb", "é"] {
        assert_eq!(client("", wrong).unwrap_err(), SaslError::Token);
    }
    assert_eq!(client("", "").unwrap_err(), SaslError::Empty("password"));
}
