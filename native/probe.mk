PROBE := $(BUILD)/fairlead-probe
PROBE_DIRECTORY := ../cmd/probe
PROBE_SOURCES := $(wildcard $(PROBE_DIRECTORY)/*.c)

$(PROBE): $(PROBE_SOURCES) $(PROBE_DIRECTORY)/probe.h | $(BUILD)
	$(CC) -O2 $(WARNINGS) $(HARDENING) -pthread -static -s -o $@ $(PROBE_SOURCES)

PRODUCTS += $(PROBE)
