ADDON := $(BUILD)/fairlead.node
ADDON_SOURCES := $(wildcard addon/*.c)
NODE_API := ../node_modules/node-api-headers/include

$(ADDON): $(ADDON_SOURCES) $(wildcard addon/*.h) | $(BUILD)
	$(CC) $(CFLAGS) $(WARNINGS) $(HARDENING) -isystem $(NODE_API) -shared -fPIC -pthread -o $@ $(ADDON_SOURCES)

PRODUCTS += $(ADDON)
