//! A round against a debug build, in front of a store of ours: nothing is timed, and nothing has to be installed.

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use portcullis_proxy_bench::contender::{Contender, Upstream};
use portcullis_proxy_bench::garage;
use portcullis_proxy_bench::load::{Load, each, times};
use portcullis_proxy_bench::measure::{Effort, Field, block_on};
use portcullis_proxy_bench::request::{ALICE, Body, OWNER, Request};
use portcullis_proxy_bench::sink;
use portcullis_proxy_bench::tools::{Tools, build_portcullis};
use portcullis_proxy_bench::world::{BUCKET, SMALL, target};

fn tools() -> Tools {
    let nobody = PathBuf::from("/nonexistent");
    Tools {
        portcullis: build_portcullis(false).unwrap(),
        nginx: nobody.clone(),
        haproxy: nobody.clone(),
        envoy: nobody.clone(),
        strace: nobody,
    }
}

#[test]
fn a_round_measures_every_way_of_running_portcullis() {
    let directory = tempfile::tempdir().unwrap();
    let field =
        Field::start(&Contender::OWN, &tools(), &Upstream::lax(sink::start().unwrap()), directory.path()).unwrap();
    let effort = Effort { rounds: 2, small: Duration::from_millis(20), large: 2, connections: 4, ..Effort::FULL };
    for measured in [field.small(effort).unwrap(), field.large(effort, true).unwrap()] {
        assert_eq!(measured.iter().map(|series| series.contender).collect::<Vec<_>>(), Contender::OWN);
        for series in measured {
            assert_eq!(series.rounds.len(), 2);
            for round in series.rounds {
                // A request takes some processor time, and not more than all there is.
                assert!(round.cpu > Duration::ZERO && round.rate > 0.0, "{round:?}");
                assert!(round.p50 <= round.p99 && round.resident > 1 << 20, "{round:?}");
            }
        }
    }
}

#[test]
fn a_store_with_a_key_and_a_region_of_its_own_is_asked_itself_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = Upstream { address: sink::start().unwrap(), key: garage::KEY };
    let compared = [Contender::Direct, Contender::Preserve, Contender::Resign];
    let field = Field::start(&compared, &tools(), &store, directory.path()).unwrap();
    let effort = Effort { rounds: 1, large: 2, connections: 4, ..Effort::FULL };
    let measured = field.large(effort, true).unwrap();
    for (series, expected) in measured.iter().zip(compared) {
        assert_eq!(series.contender, expected);
        let round = &series.rounds[0];
        assert!(round.rate > 0.0, "{round:?}");
        assert_eq!(round.cpu > Duration::ZERO, expected != Contender::Direct, "{round:?}");
    }
    // Only what signs anew is asked with a key that is not the store's.
    let keys = compared.map(|contender| contender.client(&store));
    assert_eq!(keys.map(|key| key.id), [garage::KEY.id, garage::KEY.id, ALICE.id]);
    assert!(keys.iter().all(|key| key.region == garage::KEY.region));
}

#[test]
fn what_is_enforced_is_and_a_refusal_is_no_round() {
    let directory = tempfile::tempdir().unwrap();
    let (tools, sink) = (tools(), Upstream::lax(sink::start().unwrap()));
    for (contender, refuses) in
        [(Contender::PassThrough, false), (Contender::Preserve, true), (Contender::Resign, true)]
    {
        let field = Field::start(&[contender], &tools, &sink, directory.path()).unwrap();
        let address = field.addresses()[0];
        let ask = |request| {
            block_on(async { Load::connect(address, 2).await?.run(times(Rc::new(request), 6)).await })
                .map(|done| done.requests)
                .map_err(|error| error.to_string())
        };
        assert_eq!(ask(Request::get(&target("small"), SMALL).unwrap()), Ok(6));
        assert_eq!(ask(Request::put(&target("large"), 300_000).unwrap()), Ok(6));
        // Nobody granted this, and a signature is not another request's.
        let elsewhere = Request::get(&format!("/{BUCKET}/elsewhere/small"), SMALL).unwrap();
        let mut forged = Request::get(&target("small"), SMALL).unwrap();
        forged.head = String::from_utf8(forged.head).unwrap().replace("/small", "/other").into_bytes();
        for request in [elsewhere, forged] {
            match ask(request) {
                Ok(answered) => assert!(!refuses && answered == 6, "{contender:?}"),
                Err(said) => assert!(refuses && said.contains("HTTP/1.1 403"), "{contender:?}: {said}"),
            }
        }
    }
}

#[test]
fn the_load_notices_an_answer_that_is_not_the_expected() {
    let address = sink::start().unwrap();
    let right = Request::get(&target("small"), SMALL).unwrap();
    let wrong = Request { answer: SMALL + 1, ..right.clone() };
    let sent = Request::signed("PUT", "/b/k", OWNER, Body::Whole(vec![7; 5]), 0).unwrap();
    let ask = |requests| block_on(async { Load::connect(address, 1).await?.run(each(requests)).await });
    assert_eq!(ask(vec![right.clone(), sent, right]).unwrap().requests, 3);
    assert!(ask(vec![wrong]).unwrap_err().to_string().contains("instead of 200 with 1025 bytes"));
}

#[test]
fn the_readme_has_the_marks_that_the_table_goes_between() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let begin = readme.find("<!-- proxies: written by").unwrap();
    assert!(begin < readme.find("<!-- end of the proxies -->").unwrap());
}
