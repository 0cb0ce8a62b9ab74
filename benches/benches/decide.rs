//! How long does a decision take?
//!
//! Every engine is asked the same questions. What is measured is the call that decides, and no preparation of it: see
//! [`Engine::decide`] of each.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use portcullis_benches::engine::{Cedar, IamRs, Portcullis, RustFs};
use portcullis_benches::{Engine, Scenario, scenarios};

fn decide(criterion: &mut Criterion) {
    for scenario in scenarios() {
        let mut group = criterion.benchmark_group(format!("decide/{}", scenario.name));
        measure::<Portcullis>(&mut group, &scenario);
        measure::<IamRs>(&mut group, &scenario);
        measure::<RustFs>(&mut group, &scenario);
        measure::<Cedar>(&mut group, &scenario);
        group.finish();
    }
}

fn measure<E: Engine>(group: &mut BenchmarkGroup<'_, WallTime>, scenario: &Scenario) {
    // An engine that cannot express the scenario is left out; the table says why.
    let Ok(engine) = E::prepare(scenario) else { return };
    let answer = engine.decide();
    assert!(answer.agrees_with(scenario.answer), "{} is wrong about {}: {answer:?}", E::NAME, scenario.name);
    group.bench_function(E::NAME, |bencher| bencher.iter(|| black_box(&engine).decide()));
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = decide
}
criterion_main!(benches);
