//! Import of the four MLPerf Tiny networks, and of files that are none.

mod common;

use bitrack_model::float::FloatExecutor;
use bitrack_model::{Dataset, Imported, Split, import};

#[test]
fn float_keyword_spotting_reaches_its_published_accuracy() {
    let (Some(model), Some(data)) = (common::data("kws/ds_cnn_float.tflite"), common::data("kws/eval.npz")) else {
        return;
    };
    let Imported::Float(model) = import(&model).expect("imports") else { panic!("is a float model") };
    let data = Dataset::npz(&data, Split::Test).expect("reads");
    let executor = FloatExecutor::new(&model);
    let mut buffers = executor.buffers();
    let mut sample = Vec::new();
    let start = std::time::Instant::now();
    let correct = (0..data.len()).filter(|&i| {
        data.read(i, &mut sample);
        executor.run(&sample, &mut buffers);
        let scores = buffers.get(model.graph().output);
        let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        best == Some(usize::from(data.labels()[i]))
    });
    let correct = correct.count();
    eprintln!("{correct} of {} in {:?}", data.len(), start.elapsed());
    assert_eq!(correct, 913);
}

#[test]
fn all_reference_networks_import() {
    let networks = [
        ("kws/ds_cnn_float.tflite", 12, 2_656_768),
        ("mlperf_tiny/kws_ds_cnn_int8.tflite", 13, 2_656_768),
        ("mlperf_tiny/ic_resnet8_float.tflite", 16, 12_501_632),
        ("mlperf_tiny/ic_resnet8_int8.tflite", 16, 12_501_632),
        ("mlperf_tiny/vww_mobilenet_v1_025_float.tflite", 31, 7_489_664),
        ("mlperf_tiny/vww_mobilenet_v1_025_int8.tflite", 31, 7_489_664),
        ("mlperf_tiny/ad_autoencoder_float.tflite", 10, 264_192),
        ("mlperf_tiny/ad_autoencoder_int8.tflite", 10, 264_192),
    ];
    for (path, layers, macs) in networks {
        let Some(file) = common::data(path) else { return };
        let model = import(&file).expect(path);
        let graph = model.graph();
        let found: usize = graph.layers.iter().map(|l| graph.macs(l)).sum();
        assert_eq!((graph.layers.len(), found), (layers, macs), "{path}");
        assert_eq!(matches!(model, Imported::Quantized(_)), path.contains("int8"), "{path}");
    }
}
