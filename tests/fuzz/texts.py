"""Settings, a prompt and a listing, as they are written by hand."""

SETTINGS = """\
data: {name: tiny, annotations: {train: [a.json], val: b.json}, features: x.h5, frames: 20}
memory: &memory
  path: bank
  encoder: hashing:24
retrieval: {windows: 4, top_k: 2, levels: [1, 2]}
captioner:
  t5_config: {d_model: 32}
train: {lr: 3e-4, epochs: 2, select_on: soda_d}
"""
PROMPT = "name: own\nsystem: Summarise.\nuser: 'At most {words} words: {texts}'\nagain: '{problem}, try again'\n"
LISTING = 'video_id,video_path\na,a.npy\n"b,c",d\n'
