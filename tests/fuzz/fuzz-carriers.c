/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssi-agent/carriers: any GIVE and TAKE, and any words of the processes that carry. A process is started with a key and whole blobs on its standard input, and an
 * address that is one; each GIVE and each TAKE is answered once. Of the messages (message.h) type 0: a process says the body; type 1: one ends; type 2: the next
 * one cannot be started.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/fd.h"
#include "libssi/base/hash.h"
#include "libssi/base/spawn.h"
#include "libssi/comm/tls.h"
#include "libssi/model/wire.h"
#include "ssi-agent/carriers.h"
#include "ssi/rexec/job.pb-c.h"
#include "tests/fuzz/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROCESSES 64                         /* more are not started */

struct process { bool runs; int out; sd_event_child_handler_t ended; void *userdata; };
static struct process processes[PROCESSES];
static struct ssi_ccm_rule rules[2];
static unsigned gives, takes, given, taken;
static bool broken;

/* --- what the agent and the kernel are to it --- */

int ssi_ccm_register(struct ssi_ccm *m, const struct ssi_ccm_rule *r, size_t n)
{
	if (n != 2)
		abort();
	memcpy(rules, r, sizeof(rules));
	return 0;
}

struct ssi_ccm_conn *ssi_member_conn(const struct ssi_member *s)
{
	return (struct ssi_ccm_conn *)rules;
}

int ssi_ccm_send(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint64_t sequence, const void *body, size_t len)
{
	Ssi__Job__Gives *m = ssi__job__gives__unpack(NULL, len, body);

	if (module != SSI_MOD_JOB || type != SSI_JOB_GIVES || !m || m->port > UINT16_MAX)
		abort();
	ssi__job__gives__free_unpacked(m, NULL);
	given++;
	return 0;
}

void jobs_taken(struct agent *a, uint64_t number)
{
	taken++;
}

static void check_words(char *const argv[], bool give)
{
	struct in_addr addr;

	if (strcmp(argv[0], "/libexec/" CARRIERS_PROGRAM) != 0 || strcmp(argv[1], give ? "give" : "take") != 0 || strcmp(argv[2], "blobs") != 0)
		abort();
	if (!give && (inet_pton(AF_INET, argv[3], &addr) != 1 || strspn(argv[4], "0123456789") != strlen(argv[4]) || argv[5]))
		abort();
}

int ssi_spawn_start(char *const argv[], const struct ssi_spawn_io *io, int flags, pid_t *ret_pid, int *ret_report, struct ssi_err *e)
{
	const bool give = io->out >= 0;
	const off_t each = give ? SSI_HASH_BYTES : SSI_HASH_BYTES + 8;
	struct stat st;
	int i = 0;

	check_words(argv, give);
	if (fstat(io->in, &st) < 0 || st.st_size < SSI_TLS_KEY || (st.st_size - SSI_TLS_KEY) % each || st.st_size > SSI_TLS_KEY + CARRIERS_BLOBS * each ||
	    lseek(io->in, 0, SEEK_CUR) != 0)
		abort();
	if (broken) {
		broken = false;
		return ssi_errf(e, -EAGAIN, "no process");
	}
	while (i < PROCESSES && processes[i].runs)
		i++;
	if (i == PROCESSES)
		abort();
	processes[i] = (struct process){ .runs = true, .out = give ? dup(io->out) : -1 };
	*ret_pid = i + 1;
	return 0;
}

/* As sd_event_add_child(3), for those processes: the source itself is one that never fires. */
static int never(sd_event_source *s, void *userdata)
{
	abort();
}

int sd_event_add_child(sd_event *event, sd_event_source **ret, pid_t pid, int options, sd_event_child_handler_t handler, void *userdata)
{
	int r = sd_event_add_defer(event, ret, never, NULL);

	processes[pid - 1].ended = handler;
	processes[pid - 1].userdata = userdata;
	return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

/* --- an input --- */

static void loop(const struct agent *a)
{
	while (sd_event_run(a->event, 0) > 0)
		;
}

static void end(struct process *p)
{
	siginfo_t si = { .si_pid = (pid_t)(p - processes) + 1 };

	if (!p->runs)
		return;
	p->runs = false;
	ssi_cleanup_close(&p->out);
	p->ended(NULL, &si, p->userdata);
}

static int hear(uint8_t type, uint8_t job, const uint8_t *body, size_t n)
{
	const struct ssi_ccm_head f = { .module = SSI_MOD_JOB, .type = type, .sequence = job, .size = (uint32_t)n };

	for (int i = 0; i < 2; i++)
		if (rules[i].type == type) {
			int r = rules[i].handle(ssi_member_conn(NULL), &f, body, rules[i].userdata);

			gives += type == SSI_JOB_GIVE && r >= 0;
			takes += type == SSI_JOB_TAKE && r >= 0;
			return r;
		}
	return -1;
}

static int step(const struct agent *a, uint8_t type, uint8_t which, const uint8_t *body, size_t n)
{
	struct process *p = &processes[which % PROCESSES];
	int r = 0;

	if (type == 0 && p->runs && p->out >= 0)
		(void)ssi_fd_write_all(p->out, body, n < 4096 ? n : 4096);
	else if (type == 1)
		end(p);
	else if (type == 2)
		broken = true;
	else if (type > 2)
		r = hear(type, which, body, n);
	loop(a);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent a = { .keeper = "/libexec/ssi-keeper" };
	struct fuzz_message m;
	int r = 0;

	gives = takes = given = taken = 0;
	broken = false;
	signal(SIGPIPE, SIG_IGN);
	if (sd_event_new(&a.event) < 0 || carriers_open(&a, NULL) < 0)
		abort();
	while (r >= 0 && fuzz_message_next(&data, &size, &m))
		r = step(&a, m.type, m.which, m.body, m.n);
	for (int i = 0; i < PROCESSES; i++)
		end(&processes[i]);
	if (given != gives || taken != takes)
		abort();
	carriers_close(&a);
	sd_event_unref(a.event);
	return 0;
}
