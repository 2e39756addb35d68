# Recipes of `make assets`, included by the Makefile. Interrupted rendering and interrupted training of the generator
# resume; the small networks are trained from the start.

RENDER = $(STYLESWAP) render columns --out

$(DATA)/columns/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/columns --columns 12000 --members 5 --identities 12000 --fuse
	touch "$@"

# Almost three times as many people, each of them seen less often. What a generator memorizes about people, such as
# their skin tone, does not help with others.
$(DATA)/columns-more/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/columns-more --columns 13000 --members 5 --identities 32500 --first-setting 300000 --seed 3 --fuse
	touch "$@"

$(DATA)/crops/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/crops --template recognizer --size 112 --members 1 --columns 18000 --identities 12000 \
		--first-setting 100000 --seed 1 --fuse
	touch "$@"

$(DATA)/crops-val/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/crops-val --template recognizer --size 112 --members 1 --columns 1200 --identities 150 \
		--split validation --seed 5
	touch "$@"

$(DATA)/frames/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/frames --template none --size 192 --members 1 --columns 5000 --identities 12000 \
		--first-setting 200000 --seed 2 --fuse
	touch "$@"

$(DATA)/frames-val/finished: $(STAMPS)/core
	$(RENDER) $(DATA)/frames-val --template none --size 192 --members 1 --columns 160 --split validation \
		--identities 160 --first-setting 5000 --seed 3
	touch "$@"

CROPS = $(DATA)/columns/finished $(DATA)/crops/finished $(DATA)/crops-val/finished

$(ASSETS)/demo_pack/arcface_demo.onnx: | $(CROPS)
	$(STYLESWAP) train-recognizer --columns $(DATA)/columns $(DATA)/crops --validation $(DATA)/crops-val --steps 3200 \
		--identity-weight 30 --out "$@"

$(ASSETS)/judge.onnx: | $(CROPS)
	$(STYLESWAP) train-recognizer --judge --columns $(DATA)/columns $(DATA)/crops --identity-range 4000 12000 \
		--validation $(DATA)/crops-val --steps 3200 --identity-weight 20 --out "$@"

$(ASSETS)/demo_pack/det_demo.onnx: | $(DATA)/frames/finished $(DATA)/frames-val/finished
	$(STYLESWAP) train-detector --pictures $(DATA)/frames --validation $(DATA)/frames-val --steps 5000 --out "$@"

$(ASSETS)/regressors.safetensors: | $(DATA)/columns/finished
	$(STYLESWAP) train-regressors --columns $(DATA)/columns --steps 1500 --out "$@"

# The generator learns geometry at 32 px, where a picture costs a twentieth of one at 128 px, and then grows. On a CPU,
# one process with one thread per core is fastest; the batch must be divisible by the number of processes.
PROCESSES ?= 3
TRAIN = OMP_NUM_THREADS=1 "$(VENV)/bin/torchrun" --nproc-per-node $(PROCESSES) -m styleswap_core train --resume \
	--threads 1 --set warmup_steps=50 --set checkpoint_every=200 --set model_overrides.attribute_masking=none \
	--set weights.adversarial=0 --set weights.mask=2 --set weights.swap_gradients=3 --set weights.swap_laplacian=3
PIXELS_ONLY = --set weights.identity=0 --set weights.truth_identity=0 --set weights.perceptual=0 \
	--set weights.swap_perceptual=0
LIKENESS = --set weights.identity=1 --set weights.truth_identity=2 --set weights.perceptual=1 \
	--set weights.swap_perceptual=1 --set identity_every=2 --set perceptual_every=2
# Later stages put more weight on the likeness to the source and on the sharpness of the exact swap.
LATE_STAGES = --set model=demo-128 --set batch=36 --set recognizer_rows=15 --set schedule=linear \
	--set identity_every=2 --set perceptual_every=2 --set weights.perceptual=1 --set weights.swap_perceptual=1 \
	--set weights.truth_identity=4 --set weights.swap_sharpness=12

# $(STAMPS)/test installs the packages of the extra `train`.
$(ASSETS)/generator.safetensors: | $(STAMPS)/test $(DATA)/columns/finished $(DATA)/columns-more/finished \
	$(ASSETS)/demo_pack/arcface_demo.onnx
	$(TRAIN) --out runs/demo-32 --set data=$(DATA)/columns $(PIXELS_ONLY) --set model=demo-32 --set batch=72 \
		--set schedule=constant --set steps=2200
	$(TRAIN) --out runs/demo-64 --set data=$(DATA)/columns $(LIKENESS) --set model=demo-64 \
		--set init_from=runs/demo-32/generator_ema.safetensors --set batch=60 --set schedule=constant --set steps=1500 \
		--set recognizer_rows=18
	$(TRAIN) --out runs/demo-128 --set data=$(DATA)/columns $(LIKENESS) --set model=demo-128 \
		--set init_from=runs/demo-64/generator_ema.safetensors --set batch=36 --set schedule=linear --set steps=10000 \
		--set feature_weight=3 --set recognizer_rows=15 --set weights.swap_sharpness=2
	$(TRAIN) --out runs/demo-128-sharp --set data=$(DATA)/columns $(LATE_STAGES) \
		--set init_from=runs/demo-128/generator_ema.safetensors --set steps=10000 --set learning_rate=0.0015 \
		--set matrix_learning_rate=0.04 --set feature_weight=3 --set weights.identity=3
	$(TRAIN) --out runs/demo-128-like --set data=$(DATA)/columns $(LATE_STAGES) \
		--set init_from=runs/demo-128-sharp/generator_ema.safetensors --set steps=2200 --set learning_rate=0.001 \
		--set matrix_learning_rate=0.02 --set feature_weight=1.5 --set weights.identity=4 --set weights.swap_pixels=12
	$(TRAIN) --out runs/demo-128-more --set data=$(DATA)/columns-more $(LATE_STAGES) \
		--set init_from=runs/demo-128-like/generator_ema.safetensors --set steps=8400 --set learning_rate=0.0015 \
		--set matrix_learning_rate=0.04 --set feature_weight=1.5 --set weights.identity=4 --set weights.swap_pixels=12 \
		--set weights.swap_sharpness=16
	$(STYLESWAP) export runs/demo-128-more "$@" --card "demo generator: knows the rendered faces of the face world only"

# The generator from one GPU in minutes instead of days on a CPU: grown from 64 to 256 px on faces that are rendered as
# it trains. It replaces the file only if the suite finds it better than the present one in every row, and it reaches
# 25.5 dB, sharpness .85 and .95 of the exact swap's likeness (benchmarks/gpu/demo_model.py).
generator-gpu:
	$(GPU_RUN) --parts model --ship $(ASSETS)/generator.safetensors --out "$(GPU_OUT)" $(ARGS)
