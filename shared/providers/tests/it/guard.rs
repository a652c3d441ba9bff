//! What customers' addresses may lead to.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use providers::guard::{Guard, NotLoopback, ReadError, Refused, read_limited, refusal};
use url::Url;
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn check(url: &str) -> Result<(), Refused> {
    Guard::default().check(&Url::parse(url).unwrap())
}

fn origin(server: &MockServer) -> Url {
    server.uri().parse().unwrap()
}

#[test]
fn only_https_to_the_public_internet_passes() {
    for (url, expected) in [
        ("https://hooks.example.com/a?b=c", Ok(())),
        ("https://hooks.example.com:8443/", Ok(())),
        ("https://8.8.8.8/", Ok(())),
        ("https://[2606:4700::1111]/", Ok(())),
        ("https://localhost.example.com/", Ok(())),
        ("https://notlocal/", Err(Refused::Name)),
        ("http://hooks.example.com/", Err(Refused::Scheme)),
        ("ftp://hooks.example.com/", Err(Refused::Scheme)),
        ("file:///etc/passwd", Err(Refused::Scheme)),
        ("gopher://127.0.0.1:6379/_FLUSHALL", Err(Refused::Scheme)),
        ("https://ana@hooks.example.com/", Err(Refused::Credentials)),
        ("https://:senha@hooks.example.com/", Err(Refused::Credentials)),
        ("https://hooks.example.com@127.0.0.1/", Err(Refused::Credentials)),
        ("https://localhost/", Err(Refused::Name)),
        ("https://LOCALHOST:8443/", Err(Refused::Name)),
        ("https://localhost./", Err(Refused::Name)),
        ("https://localhost../", Err(Refused::Name)),
        ("https://a..example.com/", Err(Refused::Name)),
        ("https://a.localhost/", Err(Refused::Name)),
        ("https://printer.local/", Err(Refused::Name)),
        ("https://metadata.google.internal./", Err(Refused::Name)),
        ("https://router.home.arpa/", Err(Refused::Name)),
        ("https://intranet/", Err(Refused::Name)),
        ("https://169.254.169.254/latest/meta-data/", Err(Refused::Address)),
        ("https://[fd00:ec2::254]/", Err(Refused::Address)),
    ] {
        assert_eq!(check(url), expected, "{url}");
    }
    let lax = Guard::default().allowing_http();
    assert_eq!(lax.check(&Url::parse("http://hooks.example.com/").unwrap()), Ok(()));
    assert_eq!(lax.check(&Url::parse("http://127.0.0.1/").unwrap()), Err(Refused::Address));
    assert_eq!(lax.check(&Url::parse("ws://hooks.example.com/").unwrap()), Err(Refused::Scheme));
}

#[test]
fn odd_spellings_are_the_addresses_they_stand_for() {
    for url in [
        "https://127.1/",
        "https://127.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.1./",
        "https://%31%32%37.0.0.1/",
        "https://①②⑦.⓪.⓪.①/",
        "https://127。0。0。1/",
        "https://0/",
        "https:127.0.0.1/",
        "https:/\\127.0.0.1/",
        "https://[::1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://[::]/",
        "https://[::127.0.0.1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[64:ff9b::10.0.0.1]/",
        "https://[64:ff9b:1::8.8.8.8]/",
        "https://[2002:a00:1::]/",
        "https://[2001:0:1::1]/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://[ff02::1]/",
        "https://[2001:db8::1]/",
        "https://[3fff::1]/",
        "https://[5f00::1]/",
    ] {
        assert_eq!(check(url), Err(Refused::Address), "{url}");
    }
    // Not an address at all.
    for text in ["https://[fe80::1%25eth0]/", "https://256.0.0.1/", "https:///", "https://0x100000000/"] {
        assert!(Url::parse(text).is_err(), "{text}");
    }
}

/// First and last address of every range that is not public, written as RFC 6890 and its successors have them.
const FORBIDDEN: [(&str, &str); 15] = [
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "239.255.255.255"),
    ("240.0.0.0", "255.255.255.255"),
];

fn range(which: usize) -> std::ops::RangeInclusive<u32> {
    let bits = |text: &str| text.parse::<Ipv4Addr>().unwrap().to_bits();
    bits(FORBIDDEN[which].0)..=bits(FORBIDDEN[which].1)
}

fn is_forbidden(bits: u32) -> bool {
    (0..FORBIDDEN.len()).any(|which| range(which).contains(&bits))
}

/// Every way to write an IPv4 address, or to hide it in another.
fn spellings(bits: u32) -> Vec<String> {
    let [a, b, c, d] = bits.to_be_bytes();
    let (high, low) = (bits >> 16, bits & 0xffff);
    [
        format!("{a}.{b}.{c}.{d}"),
        format!("{bits}"),
        format!("0x{bits:x}"),
        format!("0{bits:o}"),
        format!("{a}.{}", bits & 0xff_ffff),
        format!("{a}.{b}.{low}"),
        format!("0x{a:X}.0{b:o}.{c}.{d}."),
        format!("[::ffff:{a}.{b}.{c}.{d}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
    ]
    .map(|host| format!("https://{host}/"))
    .to_vec()
}

#[test]
fn the_ranges_end_where_they_should() {
    for which in 0..FORBIDDEN.len() {
        let (first, last) = range(which).into_inner();
        for bits in [first, last, first.saturating_sub(1), last.saturating_add(1)] {
            let verdict = if is_forbidden(bits) { Err(Refused::Address) } else { Ok(()) };
            assert_eq!(check(&spellings(bits)[0]), verdict, "{}", Ipv4Addr::from_bits(bits));
        }
    }
}

proptest! {
    #[test]
    fn a_forbidden_address_is_refused_however_it_is_written(
        bits in (0..FORBIDDEN.len()).prop_flat_map(range),
    ) {
        for url in spellings(bits) {
            prop_assert_eq!(check(&url), Err(Refused::Address), "{}", url);
        }
    }

    #[test]
    fn any_address_is_judged_alike_however_it_is_written(bits: u32) {
        let verdict = if is_forbidden(bits) { Err(Refused::Address) } else { Ok(()) };
        for url in spellings(bits) {
            prop_assert_eq!(check(&url), verdict, "{}", url);
        }
    }

    #[test]
    fn outside_of_global_unicast_no_address_of_version_6_is_public(bits: u128) {
        let address = Ipv6Addr::from_bits(bits);
        let carries = matches!(
            address.segments(),
            [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x2002, ..]
        );
        prop_assume!(!carries);
        let is_global = bits >> 125 == 1;
        let special = bits >> 105 == 0x2001_0000 >> 9 || bits >> 96 == 0x2001_0db8 || bits >> 108 == 0x3fff0;
        let verdict = if is_global && !special { Ok(()) } else { Err(Refused::Address) };
        prop_assert_eq!(check(&format!("https://[{address}]/")), verdict);
    }
}

#[tokio::test]
async fn exceptions_are_single_ports_of_this_machine() {
    let url = |text: &str| Url::parse(text).unwrap();
    let guard =
        Guard::default().allowing(&[url("http://127.0.0.1:8701"), url("http://localhost:8701/x")]).unwrap();
    for (text, passes) in [
        ("http://127.0.0.1:8701/openai", true),
        ("http://2130706433:8701/", true),
        ("http://localhost:8701/", true),
        ("https://127.0.0.1:8701/", false),
        ("http://127.0.0.1:8702/", false),
        ("http://127.0.0.1/", false),
        ("http://127.0.0.2:8701/", false),
        ("http://localhost:8702/", false),
        ("http://ana@127.0.0.1:8701/", false),
        ("http://hooks.example.com/", false),
    ] {
        assert_eq!(guard.check(&url(text)).is_ok(), passes, "{text}");
    }
    for elsewhere in ["http://10.0.0.1:8701", "http://169.254.169.254", "https://example.com", "file:///a"] {
        assert_eq!(Guard::default().allowing(&[url(elsewhere)]).unwrap_err(), NotLoopback, "{elsewhere}");
    }
}

#[tokio::test]
async fn a_client_reaches_nothing_on_this_machine_even_unchecked() {
    let server = MockServer::start().await;
    let client = Guard::default().allowing_http().client().unwrap();
    for url in
        [server.uri(), server.uri().replace("127.0.0.1", "localhost"), server.uri().replace("http", "https")]
    {
        let error = client.get(&url).send().await.unwrap_err();
        assert!(refusal(&error).is_some(), "{url}: {error:?}");
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_exception_is_reached_by_address_and_by_name() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let by_name: Url = server.uri().replace("127.0.0.1", "localhost").parse().unwrap();
    let guard = Guard::default().allowing(&[origin(&server), by_name.clone()]).unwrap();
    for url in [origin(&server), by_name] {
        assert_eq!(guard.client().unwrap().get(url).send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn every_redirect_is_checked() {
    let (open, closed) = (MockServer::start().await, MockServer::start().await);
    let to = |address: String| ResponseTemplate::new(307).insert_header("location", address);
    for (at, target) in [
        ("/inside", closed.uri()),
        ("/metadata", "http://169.254.169.254/latest/meta-data/iam/".to_owned()),
        ("/scheme", "ftp://example.com/".to_owned()),
        ("/credentials", format!("http://a:b@{}/end", origin(&open).authority())),
        ("/twice", "/inside".to_owned()),
        ("/1", "/2".to_owned()),
        ("/2", "/3".to_owned()),
        ("/3", "/4".to_owned()),
        ("/4", "/end".to_owned()),
    ] {
        Mock::given(path(at)).respond_with(to(target)).mount(&open).await;
    }
    Mock::given(path("/end")).respond_with(ResponseTemplate::new(200)).mount(&open).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&closed).await;
    let client = Guard::default().allowing_http().allowing(&[origin(&open)]).unwrap().client().unwrap();
    let call = async |at: &str| {
        let answer = client.post(format!("{}{at}", open.uri())).body("{}").send().await;
        answer.map(|answer| answer.status()).map_err(|error| refusal(&error))
    };
    assert_eq!(call("/2").await.unwrap(), 200);
    assert_eq!(call("/1").await, Err(Some(Refused::Redirects)));
    for at in ["/inside", "/twice", "/metadata"] {
        assert_eq!(call(at).await, Err(Some(Refused::Address)), "{at}");
    }
    assert_eq!(call("/scheme").await, Err(Some(Refused::Scheme)));
    assert_eq!(call("/credentials").await, Err(Some(Refused::Credentials)));
    assert!(closed.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    let server = MockServer::start().await;
    let body = ResponseTemplate::new(200).set_body_bytes(vec![7; 1000]);
    Mock::given(any()).respond_with(body).mount(&server).await;
    let get = async || crate::http().get(server.uri()).send().await.unwrap();
    assert_eq!(read_limited(get().await, 1000).await.unwrap().len(), 1000);
    assert_eq!(read_limited(get().await, 999).await, Err(ReadError::TooLarge));
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_off_and_a_broken_one_is_not_taken_for_whole() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for tail in ["400\r\n", "0\r\n\r\n"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
            let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
            stream.write_all(format!("{head}{}{tail}", chunk.repeat(3)).as_bytes()).await.unwrap();
        }
    });
    let broken = crate::http().get(&url).send().await.unwrap();
    assert!(matches!(read_limited(broken, 1000).await, Err(ReadError::Interrupted(_))));
    let long = crate::http().get(&url).send().await.unwrap();
    assert_eq!(read_limited(long, 250).await, Err(ReadError::TooLarge));
}
