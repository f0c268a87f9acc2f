#define _GNU_SOURCE
#include "probe.h"

#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage(void)
{
	fprintf(stderr, "usage: fairlead-probe serve --name NAME [--netns PATH] [--bind ADDRESS] [--ports tcp/80,udp/53]\n"
			"       fairlead-probe client [--netns PATH]   (targets on standard input)\n"
			"       fairlead-probe hold   (until standard input ends)\n"
			"       fairlead-probe volley PATH[=NODE_ADDRESS]…   (connections on standard input)\n");
	return 2;
}

static bool enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool entered = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
	if (!entered)
		perror(path);
	if (fd >= 0)
		close(fd);
	return entered;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "name", required_argument, NULL, 'n' },
						 { "netns", required_argument, NULL, 's' },
						 { "bind", required_argument, NULL, 'b' },
						 { "ports", required_argument, NULL, 'p' },
						 { 0 } };
	const char *name = "probe", *bind_text = NULL, *ports = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'n')
			name = optarg;
		else if (option == 'b')
			bind_text = optarg;
		else if (option == 'p')
			ports = optarg;
		else if (option != 's' || !enter(optarg))
			return usage();
	}
	if (optind + 1 < argc && strcmp(argv[optind], "volley") == 0)
		return fire_volleys(argv + optind + 1, argc - optind - 1);
	if (optind + 1 != argc || strpbrk(name, "\"\\\n") != NULL)
		return usage();
	if (strcmp(argv[optind], "serve") == 0)
		return serve(name, bind_text, ports);
	if (strcmp(argv[optind], "client") == 0)
		return client();
	if (strcmp(argv[optind], "hold") == 0)
		return hold();
	return usage();
}
