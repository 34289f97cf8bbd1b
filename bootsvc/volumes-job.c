/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs commands for volumes.c and volumes-snapshot.c. They are killed when the daemon ends: what they leave is begun anew by the next one. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bootsvc/volumes-job.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/spawn.h"

#define SECOND_US (1000ull * 1000)

struct command { char *argv[VOLUME_ARGS]; uint32_t ok; bool otherwise; unsigned limit_s; };

struct volume_job {
	sd_event *event;
	struct command *commands;
	size_t n, next, ran;             /* next: to be looked at; ran: was begun last */
	pid_t child;                     /* 0 = none */
	bool late;                       /* it was killed for its time */
	int words;                       /* what it says */
	struct ssi_err failure;          /* of the one before, while another may take its place */
	volume_job_fn done;
	void *userdata;
	sd_event_source *child_source, *limit, *begin;
};

static void job_free(struct volume_job *j)
{
	sd_event_source_disable_unref(j->child_source);
	sd_event_source_disable_unref(j->limit);
	sd_event_source_disable_unref(j->begin);
	for (size_t i = 0; i < j->n; i++)
		for (char **a = j->commands[i].argv; *a; a++)
			free(*a);
	free(j->commands);
	ssi_cleanup_close(&j->words);
	free(j);
}

void volume_job_end(struct volume_job *j)
{
	if (!j)
		return;
	if (j->child > 0) {
		kill(-j->child, SIGKILL);
		waitpid(j->child, NULL, 0);
	}
	job_free(j);
}

static void job_done(struct volume_job *j, int err)
{
	volume_job_fn done = j->done;
	void *userdata = j->userdata;
	struct ssi_err why = j->failure;
	size_t ran = j->ran;

	job_free(j);
	done(err, &why, ran, userdata);
}

/* The last line that is not empty. */
static void job_words(struct volume_job *j, char *buf, size_t n)
{
	char said[4096];
	off_t size = lseek(j->words, 0, SEEK_END), from = size > (off_t)sizeof(said) - 1 ? size - (off_t)sizeof(said) + 1 : 0;
	ssize_t got = pread(j->words, said, sizeof(said) - 1, from);
	char *line;

	said[got > 0 ? got : 0] = '\0';
	while ((line = strrchr(said, '\n')) && !line[1])
		*line = '\0';
	snprintf(buf, n, "%.*s", (int)n - 1, line ? line + 1 : said);
}

static void job_go(struct volume_job *j);

static int on_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct volume_job *j = userdata;
	struct command *c = &j->commands[j->ran];
	char said[200];

	j->child = 0;
	j->child_source = sd_event_source_unref(j->child_source);
	sd_event_source_set_enabled(j->limit, SD_EVENT_OFF);
	if (si->si_code == CLD_EXITED && si->si_status < 32 && c->ok & 1u << si->si_status) {
		j->failure = (struct ssi_err){ 0 };
	} else {
		job_words(j, said, sizeof(said));
		if (j->late)
			ssi_errf(&j->failure, -ETIMEDOUT, "%s did not end in %u s", c->argv[0], c->limit_s);
		else
			ssi_errf(&j->failure, -EIO, "%s: %s%s (%s %d)", c->argv[0], said, said[0] ? "" : "failed",
				 si->si_code == CLD_EXITED ? "status" : "signal", si->si_status);
	}
	job_go(j);
	return 0;
}

static int on_limit(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct volume_job *j = userdata;

	j->late = true;
	kill(-j->child, SIGKILL);
	return 0;
}

static int job_start(struct volume_job *j, const struct command *c, struct ssi_err *e)
{
	struct ssi_spawn_io io = { -1, j->words, j->words, NULL, NULL };
	int r;

	j->late = false;
	if (ftruncate(j->words, 0) < 0 || lseek(j->words, 0, SEEK_SET) < 0)
		return ssi_errno(e, -errno, "%s", c->argv[0]);
	r = ssi_spawn(c->argv, &io, SSI_SPAWN_PDEATH | SSI_SPAWN_NEWGROUP, &j->child, e);
	if (r < 0)
		return r;
	r = sd_event_add_child(j->event, &j->child_source, j->child, WEXITED, on_child, j);
	if (r < 0) {
		kill(-j->child, SIGKILL);
		waitpid(j->child, NULL, 0);
		j->child = 0;
		return ssi_errno(e, r, "%s is not watched", c->argv[0]);
	}
	if (c->limit_s) {
		sd_event_source_set_time_relative(j->limit, c->limit_s * SECOND_US);
		sd_event_source_set_enabled(j->limit, SD_EVENT_ONESHOT);
	}
	return 0;
}

/* The next command that is to be run, or the end. */
static void job_go(struct volume_job *j)
{
	for (;;) {
		const struct command *c = j->next < j->n ? &j->commands[j->next] : NULL;

		if (c && c->otherwise && !j->failure.code) {
			j->next++;
			continue;
		}
		if (!c || (j->failure.code && !c->otherwise)) {
			job_done(j, j->failure.code);
			return;
		}
		j->ran = j->next++;
		if (job_start(j, c, &j->failure) == 0)
			return;
		j->child = 0;
	}
}

static int on_begin(sd_event_source *s, void *userdata)
{
	job_go(userdata);
	return 0;
}

static int job_copy(struct volume_job *j, const struct volume_command *c, size_t n)
{
	j->commands = calloc(n, sizeof(*j->commands));
	if (!j->commands)
		return -ENOMEM;
	for (j->n = 0; j->n < n; j->n++) {
		struct command *to = &j->commands[j->n];

		*to = (struct command){ .ok = c[j->n].ok, .otherwise = c[j->n].otherwise, .limit_s = c[j->n].limit_s };
		for (size_t i = 0; c[j->n].argv[i]; i++) {
			to->argv[i] = strdup(c[j->n].argv[i]);
			if (!to->argv[i]) {
				j->n++;
				return -ENOMEM;
			}
		}
	}
	return 0;
}

int volume_job_start(sd_event *event, const struct volume_command *c, size_t n, volume_job_fn done, void *userdata, struct volume_job **ret)
{
	struct volume_job *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	*j = (struct volume_job){ .event = event, .done = done, .userdata = userdata, .words = memfd_create("volume", MFD_CLOEXEC) };
	r = j->words < 0 ? -errno : job_copy(j, c, n);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &j->limit, CLOCK_MONOTONIC, 0, 10000, on_limit, j);
	if (r >= 0)
		r = sd_event_source_set_enabled(j->limit, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(event, &j->begin, on_begin, j);
	if (r < 0) {
		job_free(j);
		return r;
	}
	*ret = j;
	return 0;
}
