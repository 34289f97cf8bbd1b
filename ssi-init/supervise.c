/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PID 1's loop. Called by main, never returns. Everything it needs is in static tables or mapped before the loop: it waits for a signal or the next
 * restart (sigtimedwait), reaps, starts, and that is all. Nothing in it allocates, opens a file of the image or looks up a name: what may block on the
 * root (reading services.d, execve) happens in children. It forks rather than spawns, because vfork() holds the parent until
 * the execve(), and that reads the program from the master.
 * What it does not do well: services are started side by side, with no order between them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "ssi-init/console.h"
#include "ssi-init/event.h"
#include "ssi-init/failure.h"
#include "ssi-init/keep.h"
#include "ssi-init/mounts.h"
#include "ssi-init/reap.h"
#include "ssi-init/service.h"
#include "ssi-init/session.h"
#include "ssi-init/shutdown.h"
#include "ssi-init/supervise.h"
#include "ssi-init/timeline.h"
#include "ssi-init/watch.h"

#define BACKOFF_MS 200
#define BACKOFF_MAX_MS 10000
#define STEADY_MS 10000            /* ran this long: the backoff begins anew */
#define AGENT_BACKOFF_MAX_MS 2000  /* without it the node is not there */
#define AGENT_TRIES 8              /* ends in a row, none steady: the boot has failed */
#define BACKGROUND_MS 3000         /* until the rest of the hardware is looked at: joining goes first */
#define EXEC_FAILED 127

#define AGENT "/usr/sbin/ssi-agent"

struct task {
	char name[64];
	char command[SERVICE_COMMAND];
	void (*run)(const struct boot *b);         /* instead of a command, from PID 1's own memory */
	enum service_restart restart;
	bool due;                                  /* to be started at at_ms */
	bool agent, loader;
	bool background;                           /* nobody waits for it: it gets what processor time is left */
	bool kept;                                 /* run it with the libraries that stayed of the initramfs */
	pid_t pid;
	uint64_t at_ms, started_ms, failing_ms;    /* when it is due, when it was started, since when it keeps ending */
	unsigned failures;                         /* ends in a row */
};

static struct task tasks[SERVICES_MAX + 4];
static size_t n_tasks;
static struct service_table *loaded;               /* shared with the child that reads services.d */

static void task_watch(const struct boot *b)
{
	watch_run(&b->args);
}

static void task_session(const struct boot *b)
{
	session_keep(&b->args);
}

static void task_load(const struct boot *b)
{
	int r = service_load(SERVICES_DIR, loaded);

	if (r == 0)
		return;
	log_error("%s: %s", SERVICES_DIR, strerror(-r));
	_exit(1);
}

static struct task *task_add(const char *name, enum service_restart restart)
{
	struct task *t = &tasks[n_tasks++];

	*t = (struct task){ .restart = restart, .due = true };
	snprintf(t->name, sizeof(t->name), "%s", name);
	return t;
}

/* In the child. */
static void task_exec(const struct task *t, const struct boot *b)
{
	static char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "TERM=linux", NULL };
	char buf[SERVICE_COMMAND], *argv[KEEP_WORDS + SERVICE_WORDS + 1], **words = argv + KEEP_WORDS, *kept[KEEP_WORDS];

	reap_child_signals();
	setsid();
	if (t->run) {
		t->run(b);
		_exit(0);
	}
	/* Memory that runs out must not take the node from the system: the agent is the last to be killed, and has its memory locked. */
	if (t->agent)
		(void)ssi_file_poke("/proc/self/oom_score_adj", "-1000");
	else
		console_output();
	if (t->background)
		(void)setpriority(PRIO_PROCESS, 0, 10);
	if (service_words(t->command, buf, words) > 0) {
		if (t->kept && keep_command(words[0], kept) == KEEP_WORDS) {
			/* The last kept word is the program: it takes the place of words[0]. */
			memcpy(argv + 1, kept, sizeof(kept));
			execve(argv[1], argv + 1, env);
		}
		service_words(t->command, buf, words);
		execve(words[0], words, env);
	}
	log_error("%s: %s: %s", t->name, t->command, strerror(errno));
	_exit(EXEC_FAILED);
}

static void task_start(struct task *t, const struct boot *b)
{
	t->started_ms = ssi_clock_mono_ms();
	t->due = false;
	t->pid = fork();
	if (t->pid == 0)
		task_exec(t, b);
	if (t->pid < 0) {
		t->due = true;
		t->at_ms = t->started_ms + BACKOFF_MS;
	}
}

static void tasks_adopt(void)
{
	for (size_t i = 0; i < loaded->n && i < SERVICES_MAX; i++) {
		struct task *t = task_add(loaded->s[i].name, loaded->s[i].restart);

		memcpy(t->command, loaded->s[i].command, sizeof(t->command));
	}
}

static void agent_gave_up(const struct task *t, const struct boot *b, int status)
{
	static const struct stage stage = { .name = "agent", .next = "the image's ssi-agent does not run. Look at 'ssi-mkimage show' on @" };
	struct stage_run failed = { .stage = &stage, .tries = t->failures, .end_ms = ssi_clock_boot_ms() };

	failed.start_ms = failed.end_ms - (ssi_clock_mono_ms() - t->failing_ms);
	ssi_errf(&failed.err, -EIO, "%s ended %u times, last with status %d", t->command, t->failures, status);
	failure_end(b, &failed);
}

static void task_ended(struct task *t, const struct boot *b, int status)
{
	uint64_t now = ssi_clock_mono_ms(), rest = BACKOFF_MS, most = t->agent ? AGENT_BACKOFF_MAX_MS : BACKOFF_MAX_MS;

	t->pid = 0;
	if (t->loader && status == 0)
		tasks_adopt();
	if (now - t->started_ms >= STEADY_MS)
		t->failures = 0;
	if (t->failures++ == 0)
		t->failing_ms = t->started_ms;
	if (t->restart == SERVICE_NO || (t->restart == SERVICE_ON_FAILURE && status == 0)) {
		if (status)
			log_warning("%s ended with status %d", t->name, status);
		return;
	}
	if (t->agent && t->failures >= AGENT_TRIES)
		agent_gave_up(t, b, status);
	for (unsigned i = 1; i < t->failures && rest < most; i++)
		rest *= 2;
	t->at_ms = now + (rest < most ? rest : most);
	t->due = true;
	if (t->failures == 1)
		log_warning("%s ended with status %d; it is started again", t->name, status);
	if (t->failures == 3) {
		log_error("%s keeps ending (status %d); it is started again at most every %u s", t->name, status, (unsigned)most / 1000);
		event_send("service-failed", "%s keeps ending, status %d", t->name, status);
	}
}

static void tasks_reap(const struct boot *b)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < n_tasks; i++)
			if (tasks[i].pid == pid)
				task_ended(&tasks[i], b, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* Start what is due; ms until the next. */
static uint64_t tasks_start(const struct boot *b)
{
	uint64_t nearest = 3600000;

	for (size_t i = 0; i < n_tasks; i++) {
		struct task *t = &tasks[i];
		uint64_t now = ssi_clock_mono_ms();

		if (t->due && now >= t->at_ms)
			task_start(t, b);
		if (t->due && t->at_ms - now < nearest)
			nearest = t->at_ms > now ? t->at_ms - now : 0;
	}
	return nearest;
}

static void supervise_begin(const struct boot *b)
{
	struct task *t;

	/* First, so that it joins while the rest comes up. */
	if (boot_has_master(b)) {
		t = task_add("agent", SERVICE_ALWAYS);
		t->agent = t->kept = true;
		snprintf(t->command, sizeof(t->command), "%s", AGENT);
		tasks_start(b);
	}
}

static void supervise_rest(const struct boot *b)
{
	struct ssi_err e;
	struct task *t;

	if (mounts_system(&e) < 0)
		log_error("%s", e.text);
	if (boot_is_iscsi(b))
		task_add("iscsi-session", SERVICE_ALWAYS)->run = task_session;
	if (boot_is_nfs(b))
		task_add("root-watch", SERVICE_ALWAYS)->run = task_watch;
	t = task_add("drivers", SERVICE_NO);
	t->kept = t->background = true;
	t->at_ms = ssi_clock_mono_ms() + BACKGROUND_MS;
	snprintf(t->command, sizeof(t->command), "%s/init-drivers rest", SSI_LIBEXECDIR);
	loaded = mmap(NULL, sizeof(*loaded), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (loaded == MAP_FAILED) {
		log_error("services: no memory for their table");
		return;
	}
	t = task_add("services", SERVICE_ON_FAILURE);
	t->run = task_load;
	t->loader = true;
}

void supervise(const struct boot *b, const struct stages *s)
{
	static const struct stage agent = { .name = "agent" };
	struct stage_run line = { .stage = &agent, .tries = 1, .start_ms = ssi_clock_boot_ms() };
	sigset_t set;
	int order = 0;

	line.end_ms = line.start_ms;
	timeline_write(BOOT_TIMELINE, s, boot_has_master(b) ? &line : NULL);
	event_open();
	supervise_begin(b);
	supervise_rest(b);
	shutdown_signals(&set);
	sigaddset(&set, SIGCHLD);
	while (!order) {
		uint64_t ms = tasks_start(b);
		int sig = reap_signal(&set, ms);

		tasks_reap(b);
		order = shutdown_order(sig);
	}
	shutdown_run(order, n_tasks && tasks[0].agent ? tasks[0].pid : 0);
}
