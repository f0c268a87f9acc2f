CNI := $(BUILD)/fairlead-cni
CNI_DIRECTORY := ../cmd/cni
CNI_SOURCES := $(wildcard $(CNI_DIRECTORY)/*.c)

$(CNI): $(CNI_SOURCES) $(CNI_DIRECTORY)/cni.h | $(BUILD)
	$(STATIC_CC) -Os $(WARNINGS) $(HARDENING) -static -Wl,-z,relro,-z,now -s -o $@ $(CNI_SOURCES)

PRODUCTS += $(CNI)

# The parsers of untrusted bytes under libFuzzer, with the address and undefined behaviour sanitizers.
FUZZ_CNI := $(BUILD)/fuzz-cni
FUZZ_SECONDS ?= 300

$(FUZZ_CNI): ../test/cni/fuzz/fuzz.c $(CNI_SOURCES) | $(BUILD)
	clang -g -O1 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I$(CNI_DIRECTORY) -o $@ \
		$< $(filter-out $(CNI_DIRECTORY)/main.c,$(CNI_SOURCES))

fuzz-cni: $(FUZZ_CNI)
	$(FUZZ_CNI) -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1

.PHONY: fuzz-cni
