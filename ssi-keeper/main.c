/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssi-keeper: keeps one job of a node, from its SPEC to the acknowledgement of its record (doc/jobs.md). The agent starts one before there is a job, with
 * a socket as its standard input; the first thing it says there is SPEC. From then on the keeper does not need this agent: another one finds it by its
 * socket. It works in the folder it is started in, the agent's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "ssi-keeper/keeper.h"
#include "ssi/rexec/platform.h"

enum { WAIT_SIGNALS, WAIT_REPORT, WAIT_HOP, WAIT_LISTENER, WAIT_OUT, WAIT_IN = WAIT_OUT + 3, WAITS = WAIT_IN + 2 };

static void wait_for(struct keeper *k, struct pollfd p[WAITS])
{
	bool all = k->phase == KEEPER_DRAINING;

	p[WAIT_SIGNALS] = (struct pollfd){ k->signals, POLLIN, 0 };
	p[WAIT_REPORT] = (struct pollfd){ k->report, POLLIN, 0 };
	p[WAIT_HOP] = (struct pollfd){ k->hop.fd, (short)(POLLIN | (ssi_jobhop_waits(&k->hop) ? POLLOUT : 0)), 0 };
	p[WAIT_LISTENER] = (struct pollfd){ k->phase == KEEPER_SPARE ? -1 : k->listener, POLLIN, 0 };
	for (int i = 0; i < 3; i++)
		p[WAIT_OUT + i] = (struct pollfd){ outlet_room(&k->out[i], all) ? k->out[i].fd : -1, POLLIN, 0 };
	for (int i = 0; i < 2; i++)
		p[WAIT_IN + i] = (struct pollfd){ inlet_wants(&k->in[i]) ? k->in[i].fd : -1, POLLOUT, 0 };
}

/* When something is due without anybody doing anything: ms of CLOCK_MONOTONIC, UINT64_MAX = never. */
static uint64_t lease_end(const struct keeper *k)
{
	if (!k->alone_ms || !k->spec)
		return UINT64_MAX;
	if (k->spec->lease_ms)
		return k->alone_ms + k->spec->lease_ms;
	return k->alone_ms + (k->phase == KEEPER_ENDED ? KEEPER_RECORD_MS : KEEPER_LEASE_MS);
}

static int wait_ms(const struct keeper *k)
{
	uint64_t end = lease_end(k), now = ssi_clock_mono_ms();

	if (k->limit_ms && k->limit_ms < end)
		end = k->limit_ms;
	if (k->ends_ms > now && k->phase < KEEPER_DRAINING && k->ends_ms < end)
		end = k->ends_ms;
	if (end == UINT64_MAX)
		return -1;
	return end <= now ? 0 : end - now > 60000 ? 60000 : (int)(end - now);
}

static void on_time(struct keeper *k)
{
	uint64_t now = ssi_clock_mono_ms();

	if (k->limit_ms && now >= k->limit_ms)
		job_force(k, SSI__JOB__EXIT__CAUSE__TIME, SIGKILL, "its time was over");
	if (now >= lease_end(k))
		job_force(k, SSI__JOB__EXIT__CAUSE__LEASE, SIGKILL, "nobody asked for it as long as its lease was");
}

/* SIGTERM (the machine goes down): the job ends, and its record waits as ever. */
static void on_signals(struct keeper *k)
{
	struct signalfd_siginfo s;

	while (read(k->signals, &s, sizeof(s)) == sizeof(s))
		if (s.ssi_signo == SIGTERM)
			job_force(k, SSI__JOB__EXIT__CAUSE__KILLED, SIGKILL, "its keeper was asked to end");
	job_children(k);
}

static void on_streams(struct keeper *k, const struct pollfd p[WAITS])
{
	for (int i = 0; i < 3; i++)
		if (p[WAIT_OUT + i].revents && outlet_read(&k->out[i], k->phase == KEEPER_DRAINING) == 0)
			job_drained(k);
	for (int i = 0; i < 2; i++)
		if (p[WAIT_IN + i].revents)
			inlet_write(&k->in[i]);
}

static void step(struct keeper *k)
{
	struct pollfd p[WAITS];

	if (k->unheld && k->phase < KEEPER_DRAINING)
		attach_hold(k);              /* nobody waits for it: not before what somebody waits for */
	wait_for(k, p);
	if (poll(p, WAITS, wait_ms(k)) < 0)
		return;
	if (p[WAIT_REPORT].revents)
		job_reported(k);
	on_streams(k, p);
	if (p[WAIT_SIGNALS].revents)
		on_signals(k);
	if (p[WAIT_HOP].revents & POLLOUT && ssi_jobhop_flush(&k->hop) < 0)
		attach_lost(k);
	if (p[WAIT_HOP].revents & ~POLLOUT && k->hop.fd >= 0)
		attach_read(k);
	if (p[WAIT_LISTENER].revents)
		attach_accept(k);
	on_time(k);
	attach_pump(k);
	if (k->hop.fd >= 0 && !k->hop.stuck && ssi_jobhop_flush(&k->hop) < 0)
		attach_lost(k);
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Once for all that are copied from this process. */
static int prepare_all(struct keeper *k, struct ssi_err *e)
{
	char text[16];

	umask(022);
	(void)ssi_platform_level();          /* it takes a moment, once */
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	k->spared = ssi_file_read_line("/proc/self/oom_score_adj", text, sizeof(text)) < 0 || strcmp(text, "0") != 0;
	if (!getcwd(k->run_dir, sizeof(k->run_dir)))
		return ssi_errno(e, -errno, "the folder it works in");
	cgroup_ready();
	return 0;
}

static int prepare(struct keeper *k, int hop, struct ssi_err *e)
{
	static const uint32_t numbers[] = { 1, 2, 4 };

	for (size_t i = 0; i < 3; i++)
		outlet_open(&k->out[i], numbers[i], -1);
	k->in[KEEPER_IN] = (struct inlet){ .stream = 0, .fd = -1 };
	k->in[KEEPER_FILES_IN] = (struct inlet){ .stream = 3, .fd = -1 };
	ssi__job__exit__init(&k->exit);
	ssi__job__usage__init(&k->usage);
	ssi_jobhop_init(&k->hop, hop);
	k->hop.cork = true;
	k->signals = open_signals();
	if (k->hop.fd < 0 || k->signals < 0)
		return ssi_errno(e, -errno, "descriptors");
	return k->unfit.code < 0 ? k->unfit.code : spare_make(k, e);
}

int main(int argc, char **argv)
{
	bool copies = argc > 1 && !strcmp(argv[1], "--copies");
	int hop;
	static struct keeper k = {
		.report = -1, .complaint = -1, .signals = -1, .listener = -1,
		.cgroup_fd = -1, .work_fd = -1, .pty = -1, .unread = -1, .read = UINT64_MAX,
	};

	prctl(PR_SET_NAME, "ssi-keeper");
	ssi_log_open("ssi-keeper", LOG_INFO);
	if (argc > 1 && !copies) {
		puts(!strcmp(argv[1], "--version") ? "ssi-keeper " PACKAGE_VERSION
		     : "Usage: ssi-keeper [--copies]\nKeeps one job of a node. ssi-agent starts it. With --copies it waits, and keeps one for each socket it is sent.");
		return 0;
	}
	prepare_all(&k, &k.unfit);
	hop = copies ? forks_serve() : dup(0);
	if (hop < 0)
		return copies ? 0 : 1;
	setsid();
	if (prepare(&k, hop, &k.unfit) < 0)
		log_error("no job can be kept here: %s", k.unfit.text);
	close(0);
	if (open("/dev/null", O_RDWR) != 0)
		return 1;
	while (k.phase != KEEPER_DONE)
		step(&k);
	job_clear(&k);                       /* then the agent is told, by our end */
	ssi_jobhop_close(&k.hop);
	_exit(0);                            /* nothing that would look into /proc, which is not that of our processes */
}
