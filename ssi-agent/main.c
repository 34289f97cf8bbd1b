/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi-agent: the node's half of the merged system. Started by ssi-init or systemd once the root is there; runs until the machine goes down. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include "config.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "ssi-agent/agent.h"
#include "ssi-agent/carriers.h"
#include "ssi-agent/keepers.h"

static const char help[] =
	"Usage: ssi-agent [OPTION]...\n"
	"The node's half of the merged system: joins the master that booted this machine, and stays joined.\n\n"
	"      --run-dir=DIR  where ssi-init left bootargs and node.key (default " SSI_RUNDIR ")\n"
	"      --init=PID     the process that is asked to reboot or power off (default 1)\n"
	"      --keeper=PROGRAM  what keeps a job (default " KEEPERS_PROGRAM ")\n"
	"      --debug        say more\n"
	"  -h, --help         show this and exit\n"
	"      --version      show the version and exit\n";

enum { OPT_RUN_DIR = 256, OPT_INIT, OPT_KEEPER, OPT_DEBUG, OPT_VERSION };

/* 1: go on; 0: done; negative: wrong usage. */
static int parse_options(int argc, char **argv, struct agent *a, int *level)
{
	static const struct option options[] = {
		{ "run-dir", required_argument, NULL, OPT_RUN_DIR }, { "init", required_argument, NULL, OPT_INIT },
		{ "keeper", required_argument, NULL, OPT_KEEPER },
		{ "debug", no_argument, NULL, OPT_DEBUG },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, OPT_VERSION }, { 0 },
	};
	uint32_t pid;
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) >= 0)
		switch (o) {
		case OPT_RUN_DIR:
			a->run_dir = optarg;
			break;
		case OPT_INIT:
			if (ssi_num_u32(optarg, 1, INT32_MAX, &pid) < 0) {
				log_error("--init=%s: not a process number", optarg);
				return -EINVAL;
			}
			a->init = (pid_t)pid;
			break;
		case OPT_KEEPER:
			a->keeper = optarg;
			break;
		case OPT_DEBUG:
			*level = LOG_DEBUG;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case OPT_VERSION:
			puts("ssi-agent " PACKAGE_VERSION);
			return 0;
		default:
			fputs("Try 'ssi-agent --help'.\n", stderr);
			return -EINVAL;
		}
	if (optind < argc) {
		log_error("unexpected word '%s'; try 'ssi-agent --help'", argv[optind]);
		return -EINVAL;
	}
	return 1;
}

/* The machine goes down: say goodbye. We alone are stopped: say nothing, another agent will take up the session. */
static int on_terminate(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	struct agent *a = userdata;
	char reason[64];

	if (config_shutdown(reason, sizeof(reason)))
		session_leave(a, reason);
	else if (a->ordered)
		session_leave(a, a->ordered == SSI_MEMBER_POWEROFF ? "poweroff" : "reboot");
	else
		sd_event_exit(a->event, 0);
	return 0;
}

static int open_loop(struct agent *a, struct ssi_err *e)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = sd_event_new(&a->event);
	if (r >= 0)
		r = sd_event_add_signal(a->event, NULL, SIGTERM, on_terminate, a);
	if (r >= 0)
		r = sd_event_add_signal(a->event, NULL, SIGINT, on_terminate, a);
	return r < 0 ? ssi_errno(e, r, "event loop") : 0;
}

static void close_all(struct agent *a)
{
	order_close(a);
	view_close(a);
	hotplug_close(a);
	load_close(a);
	procs_close(a);
	events_close(a);
	carriers_close(a);
	jobs_close(a);
	ssi_rexec_node_free(a->rexec);
	ssi_member_free(a->member);
	ssi_ccm_free(a->ccm);
	ssi_act_node_free(a->act);
	sd_event_unref(a->event);
	explicit_bzero(a->key, sizeof(a->key));
}

int main(int argc, char **argv)
{
	struct agent a = { .run_dir = SSI_RUNDIR, .keeper = KEEPERS_PROGRAM, .init = 1, .events_fd = -1, .started_ms = ssi_clock_boot_ms() };
	int level = LOG_INFO, r;
	struct ssi_err e;

	prctl(PR_SET_NAME, "ssi-agent");     /* ssi-init runs us by way of the dynamic loader, whose name we would have */
	ssi_log_open("ssi-agent", level);
	r = parse_options(argc, argv, &a, &level);
	if (r <= 0)
		return r < 0 ? 2 : 0;
	ssi_log_open("ssi-agent", level);
	r = machine_open(&a, &e);
	if (r >= 0)
		r = config_load(&a, &e);
	if (r >= 0)
		r = open_loop(&a, &e);
	if (r >= 0)
		r = events_open(&a, &e);
	if (r >= 0)
		r = hotplug_open(&a, &e);
	if (r >= 0)
		r = load_open(&a, &e);
	if (r >= 0)
		r = procs_open(&a, &e);
	if (r >= 0)
		r = session_start(&a, &e);
	if (r < 0)
		log_error("%s", e.text);
	machine_protect();
	if (r >= 0)
		r = sd_event_loop(a.event);
	close_all(&a);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
