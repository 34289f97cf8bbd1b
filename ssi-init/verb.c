/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ssi-init does when it is not PID 1: ask PID 1, by a signal. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "libssi/base/cmd.h"
#include "libssi/base/log.h"
#include "ssi-init/verb.h"

static int verb_ask(int sig)
{
	ssi_log_open("ssi-init", LOG_INFO);
	if (kill(1, sig) == 0)
		return 0;
	log_error("PID 1 cannot be asked: %s", strerror(errno));
	return 1;
}

static int verb_reboot(struct ssi_cmd_args *a, int argc, char **argv)
{
	return verb_ask(SIGRTMIN + 5);
}

static int verb_poweroff(struct ssi_cmd_args *a, int argc, char **argv)
{
	return verb_ask(SIGRTMIN + 4);
}

static const struct ssi_cmd cmds[] = {
	{ .name = "reboot", .args = "", .run = verb_reboot, .help = "end this node in order and boot it again" },
	{ .name = "poweroff", .args = "", .run = verb_poweroff, .help = "end this node in order and switch it off" },
	{ 0 },
};
static const struct ssi_program program = { "ssi-init", "PID 1 of a node, from the initramfs to the shutdown", cmds, NULL };

int verb_main(int argc, char **argv)
{
	const char *base = argc ? strrchr(argv[0], '/') : NULL;

	base = base ? base + 1 : argc ? argv[0] : "";
	for (const struct ssi_cmd *c = cmds; c->name; c++)
		if (!strcmp(base, c->name)) {
			char *full[] = { (char *)program.name, (char *)c->name, argc > 1 ? argv[1] : NULL, NULL };

			return ssi_cmd_main(&program, argc > 1 ? 3 : 2, full);
		}
	return ssi_cmd_main(&program, argc, argv);
}
