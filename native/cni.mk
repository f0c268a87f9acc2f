CNI := $(BUILD)/fairlead-cni
CNI_DIRECTORY := ../cmd/cni
CNI_SOURCES := $(wildcard $(CNI_DIRECTORY)/*.c)

# musl's compiler wrapper knows no -static-pie: where its start file is in the usual place, the same by hand.
MUSL_LIBRARY := /usr/lib/$(shell uname -m)-linux-musl
ifneq ($(wildcard $(MUSL_LIBRARY)/rcrt1.o),)
CNI_LINK := -fPIE -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text \
	$(MUSL_LIBRARY)/rcrt1.o $(MUSL_LIBRARY)/crti.o $(MUSL_LIBRARY)/crtn.o
else
CNI_LINK := -static
endif

$(CNI): $(CNI_SOURCES) $(CNI_DIRECTORY)/cni.h cni.mk | $(BUILD)
	$(STATIC_CC) -Os $(WARNINGS) $(HARDENING) $(CNI_LINK) -Wl,-z,relro,-z,now,-z,noexecstack -s -o $@ $(CNI_SOURCES)

PRODUCTS += $(CNI)

# The parsers of untrusted bytes under libFuzzer, with the address and undefined behaviour sanitizers.
FUZZ_CNI := $(BUILD)/fuzz-cni
FUZZ_CNI_DIRECTORY := ../test/cni/fuzz
FUZZ_SECONDS ?= 300

$(FUZZ_CNI): $(FUZZ_CNI_DIRECTORY)/fuzz.c $(CNI_SOURCES) $(CNI_DIRECTORY)/cni.h cni.mk | $(BUILD)
	clang -g -O1 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I$(CNI_DIRECTORY) -o $@ \
		$< $(filter-out $(CNI_DIRECTORY)/main.c,$(CNI_SOURCES))

fuzz-cni: $(FUZZ_CNI)
	$(FUZZ_CNI) -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=5 -dict=$(FUZZ_CNI_DIRECTORY)/json.dict \
		-artifact_prefix=$(BUILD)/fuzz-cni- -print_final_stats=1

.PHONY: fuzz-cni
