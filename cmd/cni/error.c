#include "cni.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An answer is in a version that Fairlead speaks, whatever the configuration says. */
static const char *answer_version(const char *stated)
{
	static const char *const versions[] = { CNI_VERSIONS };
	for (size_t i = 0; stated != NULL && i < sizeof(versions) / sizeof(*versions); i++)
		if (strcmp(stated, versions[i]) == 0)
			return stated;
	return NEWEST_CNI_VERSION;
}

int print_error(const char *version, enum cni_code code, const char *message, const char *subject)
{
	struct bytes out = { 0 };
	char number[16];
	snprintf(number, sizeof(number), "%d", code);
	bool fine = bytes_append_text(&out, "{\"cniVersion\":\"") && bytes_append_text(&out, answer_version(version)) &&
		    bytes_append_text(&out, "\",\"code\":") && bytes_append_text(&out, number) &&
		    bytes_append_text(&out, ",\"msg\":\"") && json_append_escaped(&out, message) &&
		    json_append_escaped(&out, subject) && bytes_append_text(&out, "\"}\n");
	if (!fine || !write_all(STDOUT_FILENO, out.data, out.length))
		fprintf(stderr, "fairlead-cni: %s%s\n", message, subject);
	bytes_free(&out);
	return EXIT_FAILURE;
}
