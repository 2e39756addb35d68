# The recipes of the demo pack, included by the Makefile: `make assets`. Rendering goes on where it stopped and
# trainings of the generator resume; the small networks begin anew.

RENDER = $(STYLESWAP) render columns --out

$(DATA)/columns/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/columns --columns 9000 --members 5 --identities 3000 --fuse
	touch "$@"

$(DATA)/crops/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/crops --template recognizer --size 112 --members 1 --columns 9000 --identities 3000 --first-setting 100000 --seed 1 --fuse
	touch "$@"

$(DATA)/crops-val/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/crops-val --template recognizer --size 112 --members 1 --columns 1200 --identities 150 --split validation --seed 5
	touch "$@"

$(DATA)/frames/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/frames --template none --size 192 --members 1 --columns 4000 --identities 3000 --first-setting 200000 --seed 2
	touch "$@"

$(DATA)/frames-val/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/frames-val --template none --size 192 --members 1 --columns 160 --split validation --identities 160 --first-setting 5000 --seed 3
	touch "$@"

CROPS = $(DATA)/columns/finished $(DATA)/crops/finished $(DATA)/crops-val/finished

$(ASSETS)/demo_pack/arcface_demo.onnx: | $(CROPS)
	$(STYLESWAP) train-recognizer --columns $(DATA)/columns $(DATA)/crops --validation $(DATA)/crops-val --steps 2600 --identity-weight 20 --output "$@"

$(ASSETS)/judge.onnx: | $(CROPS)
	$(STYLESWAP) train-recognizer --judge --columns $(DATA)/columns $(DATA)/crops --identity-range 1000 3000 --validation $(DATA)/crops-val --steps 3400 --output "$@"

$(ASSETS)/demo_pack/det_demo.onnx: | $(DATA)/frames/finished $(DATA)/frames-val/finished
	$(STYLESWAP) train-detector --pictures $(DATA)/frames --validation $(DATA)/frames-val --steps 4200 --learning-rate 0.004 --points-weight 30 --output "$@"

$(ASSETS)/regressors.safetensors: | $(DATA)/columns/finished
	$(STYLESWAP) train-regressors --columns $(DATA)/columns --steps 1500 --out "$@"

# One process of one thread per core is the quickest way on a CPU.
PROCESSES ?= 3
TRAIN = OMP_NUM_THREADS=1 "$(VENV)/bin/torchrun" --nproc-per-node $(PROCESSES) -m styleswap_core.cli train --threads 1 --resume --out
DEMO_SETTINGS = --set data=$(DATA)/columns --set batch=18 --set recognizer_rows=3 --set weights.adversarial=0 --set weights.truth_identity=2 \
	--set weights.identity=1 --set weights.mask=2 --set model_overrides.mapping_layers=4 --set model_overrides.mapping_lr_mul=1.0 \
	--set model_overrides.attribute_masking=none --set checkpoint_every=250

$(ASSETS)/generator.safetensors: | $(DATA)/columns/finished $(ASSETS)/demo_pack/arcface_demo.onnx
	$(TRAIN) runs/demo-64 $(DEMO_SETTINGS) --set model=demo-64 --set schedule=constant --set learning_rate=0.002 --set steps=1750
	$(TRAIN) runs/demo-128 $(DEMO_SETTINGS) --set model=demo-128 --set init_from=runs/demo-64/generator_ema.safetensors \
		--set learning_rate=0.0025 --set identity_every=2 --set perceptual_every=2 --set steps=8000
	$(STYLESWAP) export runs/demo-128 "$@" --card "demo generator: knows the rendered faces of the face world only"
