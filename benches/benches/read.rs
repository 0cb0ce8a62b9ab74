//! How long does it take to make of a policy's text what its engine decides with?
//!
//! For Portcullis that is parsing, validation and compiling. The others do less: see [`Reader::read`] of each.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use portcullis_benches::engine::{Cedar, IamRs, Portcullis, RustFs, S3s};
use portcullis_benches::{Document, Reader, documents};

fn read(criterion: &mut Criterion) {
    for (name, document) in documents() {
        let mut group = criterion.benchmark_group(format!("read/{name}"));
        measure::<Portcullis>(&mut group, &document);
        measure::<IamRs>(&mut group, &document);
        measure::<RustFs>(&mut group, &document);
        measure::<S3s>(&mut group, &document);
        measure::<Cedar>(&mut group, &document);
        group.finish();
    }
}

fn measure<R: Reader>(group: &mut BenchmarkGroup<'_, WallTime>, document: &Document) {
    let text = R::write(document);
    // Dropping the policy is part of it: kept for later, thousands of them would have the allocator do other work.
    group.bench_function(R::NAME, |bencher| bencher.iter(|| R::read(black_box(&text), document.attached)));
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = read
}
criterion_main!(benches);
