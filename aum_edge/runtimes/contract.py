"""Contract between exported files and runtimes: names of inputs and outputs, opsets."""

from __future__ import annotations

INPUT, OUTPUT = "spectrogram", "logits"
"""Of a graph on features: log-mel (batch, 1, n_mels, n_frames) in, (batch, n_classes) out."""
WAVEFORM = "waveform"
"""Input of a graph that holds its front end: samples (batch, clip_samples)."""
FRAMES_IN, LOGITS = "frames", "logits"
"""Of a step graph; its state goes in and out beside them."""
OPSETS = range(18, 24)
"""18 is the exporter's own, and onnxruntime 1.20 (2024) runs it; 1.31 runs all of these."""
