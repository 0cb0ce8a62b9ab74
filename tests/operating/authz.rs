//! The decision endpoint through new versions of files: it goes on answering on connections that are open, by what is new,
//! and never by what is bad.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::reload::{in_force, reloads};
use crate::store::Store;
use crate::support::process::{eventually, free_address};
use crate::support::{Answer, Client, PUBLIC, Proxy, SOON, identities, signed};

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.0/8\"]";
const CLIENT: &str = "X-Forwarded-For: 203.0.113.9\r\n";

/// A proxy that is asked at the address beside it, what stands below the sections that every test has, and the store behind.
struct Asked {
    proxy: Proxy,
    address: SocketAddr,
    store: Store,
}

impl Asked {
    fn start() -> Self {
        let (address, store) = (free_address(), Store::start("store"));
        let proxy = Proxy::start(TRUSTED, &sections(&store, address, ""));
        Self { proxy, address, store }
    }

    /// Writes `proxy.toml` anew, with this besides.
    fn rewrite(&self, listen: &str, more: &str) {
        self.proxy.rewrite(listen, &sections(&self.store, self.address, more));
    }

    fn until_reloaded(&self, file: &str, times: u32) {
        self.proxy.until_metric(&reloads(file, "success"), f64::from(times));
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }
}

fn sections(store: &Store, authz: SocketAddr, more: &str) -> String {
    format!("[upstream]\nendpoint = \"{}\"\nauth = \"preserve\"\n[authz]\naddress = \"{authz}\"\n{more}", store.url())
}

/// What nginx asks about a request of nobody in particular.
fn auth_request(target: &str) -> String {
    let about = format!("X-Original-Method: GET\r\nX-Original-URI: {target}\r\n");
    format!("GET /auth_request HTTP/1.1\r\nHost: s3.localhost\r\n{about}{CLIENT}\r\n")
}

/// What Envoy asks about a request that this key signed.
fn ext_authz(target: &str, key: &str) -> String {
    let request = signed("GET", target, key, "");
    request.replacen(target, &format!("/ext_authz{target}"), 1).replacen("\r\n", &format!("\r\n{CLIENT}"), 1)
}

const HELLO: &str = "/photos/public/hello";
const SECRET: &str = "/photos/secret";

#[track_caller]
fn is_refused(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 403, "{answer:?}");
    let told = format!("{}{}", answer.head, answer.body).to_ascii_lowercase();
    assert!(told.contains(&format!("<code>{code}</code>").to_ascii_lowercase()), "{answer:?}");
}

#[test]
fn questions_are_answered_through_every_reload() {
    let asked = Asked::start();
    asked.proxy.put_policy(PUBLIC);
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for n in 0..8 {
            let (asked, over, answered) = (&asked, &over, &answered);
            scope.spawn(move || {
                let mut client = asked.client();
                while !over.load(Ordering::Relaxed) {
                    if n % 2 == 0 {
                        assert_eq!(client.ask(&auth_request(HELLO)).status, 200);
                        is_refused(&client.ask(&auth_request(SECRET)), "AccessDenied");
                    } else {
                        assert_eq!(client.ask(&ext_authz(SECRET, "ROOT")).status, 200);
                        is_refused(&client.ask(&ext_authz(SECRET, "NOBODY")), "InvalidAccessKeyId");
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..=10_u8 {
            let so_far = answered.load(Ordering::Relaxed);
            assert!(eventually(SOON, || answered.load(Ordering::Relaxed) >= so_far + 16));
            let most = 100 + u32::from(round);
            asked.rewrite(TRUSTED, &format!("[limits]\nmax_in_flight = {most}\n"));
            asked.proxy.write("identities.toml", &identities(&["ROOT", &format!("OTHER{round}")]));
            asked.proxy.server.signal("HUP");
            asked.proxy.until_metric("portcullis_requests_in_flight_limit", f64::from(most));
        }
        over.store(true, Ordering::Relaxed);
    });
    asked.proxy.stop();
}

#[test]
fn what_is_new_counts_from_the_next_question_on_the_same_connection() {
    let asked = Asked::start();
    asked.proxy.put_policy(PUBLIC);
    let mut client = asked.client();
    assert_eq!(client.ask(&ext_authz(SECRET, "ROOT")).status, 200);
    is_refused(&client.ask(&ext_authz(SECRET, "OTHER")), "InvalidAccessKeyId");

    asked.proxy.write("identities.toml", &identities(&["OTHER"]));
    asked.until_reloaded("identities", 1);
    is_refused(&client.ask(&ext_authz(SECRET, "ROOT")), "InvalidAccessKeyId");
    assert_eq!(client.ask(&ext_authz(SECRET, "OTHER")).status, 200, "the identities");

    // Whose the bucket is: its own account's root needs no policy, another's is a stranger.
    let given = "[[ownership.bucket]]\nname = \"photos\"\naccount = \"444455556666\"\n";
    asked.rewrite(TRUSTED, given);
    asked.until_reloaded("config", 1);
    is_refused(&client.ask(&ext_authz(SECRET, "OTHER")), "AccessDenied");

    // A dry run lets pass what would be denied, and ends.
    is_refused(&client.ask(&auth_request(SECRET)), "AccessDenied");
    asked.rewrite(TRUSTED, "[policy]\nenforcement = \"audit\"\n");
    asked.until_reloaded("config", 2);
    assert_eq!(client.ask(&auth_request(SECRET)).status, 200, "the enforcement");
    asked.rewrite(TRUSTED, "");
    asked.until_reloaded("config", 3);
    is_refused(&client.ask(&auth_request(SECRET)), "AccessDenied");
    assert_eq!(client.ask(&auth_request(HELLO)).status, 200, "the policy is still there");

    // The addresses of clients are another proxy's to tell.
    let from_there =
        PUBLIC.replace("\"Action\"", "\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"127.0.0.1\"}},\"Action\"");
    asked.proxy.put_policy(&from_there);
    is_refused(&client.ask(&auth_request(HELLO)), "AccessDenied");
    asked.rewrite("trusted_proxies = [\"192.0.2.1\"]", "");
    asked.until_reloaded("config", 4);
    let refused = client.try_ask(&auth_request(HELLO));
    assert!(refused.is_err(), "whoever asks is not believed any more, and gets no answer: {refused:?}");
    let refused = asked.client().try_ask(&auth_request(HELLO));
    assert!(refused.is_err(), "nor is there one for a new connection: {refused:?}");
    asked.rewrite(TRUSTED, "");
    asked.until_reloaded("config", 5);
    is_refused(&asked.client().ask(&auth_request(HELLO)), "AccessDenied");
    asked.proxy.stop();
}

#[test]
fn a_bad_version_leaves_the_old_one() {
    let asked = Asked::start();
    asked.proxy.put_policy(PUBLIC);
    let mut client = asked.client();
    let goes_on = |client: &mut Client| {
        assert_eq!(client.ask(&auth_request(HELLO)).status, 200);
        is_refused(&client.ask(&auth_request(SECRET)), "AccessDenied");
        assert_eq!(client.ask(&ext_authz(SECRET, "ROOT")).status, 200);
    };
    goes_on(&mut client);
    let good = fs::read_to_string(asked.proxy.path("proxy.toml")).unwrap();
    // Each would change the answers if it were taken.
    let bad = [
        ("[polcy]\nenforcement = \"audit\"\n", "polcy"),
        ("[policy]\nenforcement = \"off\"\n", "the answer would always be yes"),
        ("[policy]\nenforcement = \"audit\"\n[limits]\nidle_timeout = \"soon\"\n", "soon"),
    ];
    let mut refused = 0.0;
    for (more, told) in bad.map(|(more, told)| (format!("{good}{more}"), told)).into_iter().chain([
        (good.replace("auth = \"preserve\"", "auth = \"resign\""), "needs `upstream.auth = \"preserve\"`"),
        (good.replace(TRUSTED, ""), "needs `listen.trusted_proxies`"),
    ]) {
        asked.proxy.write("proxy.toml", &more);
        asked.proxy.server.signal("HUP");
        refused += 1.0;
        assert!(eventually(SOON, || asked.proxy.metric(&reloads("config", "failure")) >= Some(refused)), "{told}");
        asked.proxy.until_said(told);
        refused = asked.proxy.metric(&reloads("config", "failure")).unwrap();
        goes_on(&mut client);
    }
    asked.proxy.write("identities.toml", "[[account]]\nid = \"1\"\n");
    asked.proxy.server.signal("HUP");
    asked.proxy.until_metric(&in_force("identities"), 0.0);
    goes_on(&mut client);
    asked.proxy.stop();
}

/// The endpoint stays until a restart, and whoever asks is answered by what it was turned on with.
#[test]
fn a_version_without_the_endpoint_does_not_change_what_it_rests_on() {
    let asked = Asked::start();
    asked.proxy.put_policy(PUBLIC);
    let mut client = asked.client();
    let good = fs::read_to_string(asked.proxy.path("proxy.toml")).unwrap();
    let keys = "auth = \"resign\"\naccess_key_id = \"OURS\"\nsecret_access_key = \"ours\"\n";
    let without = good.replace(&format!("[authz]\naddress = \"{}\"\n", asked.address), "");
    let without = without.replace("auth = \"preserve\"\n", keys) + "[policy]\nenforcement = \"off\"\n";
    asked.proxy.write("proxy.toml", &without);
    asked.proxy.until_metric("portcullis_restart_needed", 1.0);
    asked
        .proxy
        .until_said("keys=[authz], upstream.auth, which [authz] rests on, policy.enforcement, which [authz] rests on");
    assert_eq!(client.ask(&auth_request(HELLO)).status, 200);
    is_refused(&client.ask(&auth_request(SECRET)), "AccessDenied");
    asked.proxy.write("proxy.toml", &good);
    asked.proxy.until_metric("portcullis_restart_needed", 0.0);
    is_refused(&client.ask(&auth_request(SECRET)), "AccessDenied");
    asked.proxy.stop();
}
