BENCH_FLAGS := -O2 $(WARNINGS) $(HARDENING) -pthread

$(BUILD)/bench-packets: ../bench/datapath/packets.c | $(BUILD)
	$(CC) $(BENCH_FLAGS) -o $@ $<

$(BUILD)/bench-launcher: ../bench/shared/launcher.c | $(BUILD)
	$(CC) $(BENCH_FLAGS) -o $@ $<

$(BUILD)/bench-floor: ../bench/cni/floor.c | $(BUILD)
	$(CC) $(BENCH_FLAGS) -o $@ $<

PRODUCTS += $(BUILD)/bench-packets $(BUILD)/bench-launcher $(BUILD)/bench-floor
