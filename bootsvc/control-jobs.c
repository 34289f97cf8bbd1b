/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jobs, job.show, job.signal: what runs, how it ended, and telling it something. Everyone may see that there is a job, whose, and where; the rest is for its
 * user and root.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "bootsvc/control.h"
#include "bootsvc/jobs-internal.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/num.h"
#include "ssi/rexec/job.pb-c.h"

static const char *cause_name(const struct job *job)
{
	static const char *const names[] = { "exited", "killed", "crashed", "node-lost", "not-started", "time", "memory", "lease" };

	return job->state != JOB_ENDED || job->s.cause < 0 || job->s.cause > SSI__JOB__EXIT__CAUSE__LEASE ? "" : names[job->s.cause];
}

static json_t *job_json(const struct jobs *j, const struct job *job)
{
	const struct state_job *s = &job->s;

	return json_pack("{s:I, s:I, s:I, s:s, s:I, s:o, s:s, s:I, s:I, s:s}", "job", (json_int_t)s->number, "pid", (json_int_t)s->pid, "uid", (json_int_t)s->uid,
			 "node", s->node, "incarnation", (json_int_t)s->incarnation, "command", ssi_control_text(s->command), "state", job_state_name(j, job),
			 "started", (json_int_t)s->started, "ended", (json_int_t)(job->state == JOB_ENDED ? s->ended : 0), "cause", cause_name(job));
}

/* Where it writes since its deputy was made again. */
static void files_add(const struct jobs *j, const struct job *job, json_t *o)
{
	_cleanup_free_ char *out = again_file(j, job->s.number, "out"), *err = again_file(j, job->s.number, "err");

	if (out && err && access(out, F_OK) == 0)
		json_object_update_new(o, json_pack("{s:s, s:s}", "stdout", out, "stderr", err));
}

static json_t *job_whole(const struct jobs *j, const struct job *job)
{
	const struct state_job *s = &job->s;
	json_t *o = job_json(j, job), *more;

	files_add(j, job, o);
	if (job->state != JOB_ENDED)
		return o;
	more = json_pack("{s:i, s:i, s:b, s:f, s:f, s:I, s:o}", "status", s->status, "signal", s->signal, "core", s->core, "user", (double)s->user_us / 1e6,
			 "system", (double)s->system_us / 1e6, "max_rss", (json_int_t)s->max_rss, "text", ssi_control_text(s->text));
	if (more)
		json_object_update(o, more);
	json_decref(more);
	return o;
}

int control_jobs(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct jobs *j = ((struct daemon *)userdata)->jobs;
	json_t *list = json_array();
	struct job *job;

	if (json_is_true(json_object_get(args, "all")))
		TAILQ_FOREACH(job, &j->kept, order)
			json_array_append_new(list, job_json(j, job));
	TAILQ_FOREACH(job, &j->active, order)
		if (job->state != JOB_PLACED)
			json_array_append_new(list, job_json(j, job));
	ssi_control_ok(q, list);
	return 0;
}

/* That of one that is over may be another's by now, so the newest counts. */
static struct job *job_kept_pid(struct jobs *j, uint64_t pid)
{
	struct job *k, *job = NULL;

	TAILQ_FOREACH(k, &j->kept, order)
		if (k->s.pid == pid)
			job = k;
	return job;
}

/* "%N" is the job's number; N is the pid of one that runs, or a number, or the pid of one that is over. */
static int job_named(struct jobs *j, const char *name, struct job **ret, struct ssi_err *e)
{
	struct job *job, *running = NULL;
	uint64_t n;

	if (ssi_num_u64(name + (*name == '%'), 1, UINT64_MAX, &n) < 0)
		return ssi_errf(e, -EINVAL, "'%.32s' is no job: it is a pid, or a number", name);
	job = job_find(j, n);
	if (*name != '%' && n <= UINT32_MAX)
		running = job_by_pid(j, (uint32_t)n);
	if (running && job && running != job && job->state != JOB_ENDED && job->state != JOB_PLACED)
		return ssi_errf(e, -EEXIST, "%s is the pid of job %%%llu and the number of job %%%s: say which", name, (unsigned long long)running->s.number, name);
	if (running)
		job = running;
	else if (!job && *name != '%')
		job = job_kept_pid(j, n);
	if (!job || job->state == JOB_PLACED)
		return ssi_errf(e, -ESRCH, "there is no job %s, or its record is not kept any more", name);
	*ret = job;
	return 0;
}

static int job_allowed(const struct ssi_control_request *q, const struct job *job, struct ssi_err *e)
{
	uid_t uid = ssi_control_uid(q);

	return !uid || uid == job->s.uid ? 0 : ssi_errf(e, -EPERM, "job %llu is not yours", (unsigned long long)job->s.number);
}

int control_job_show(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct jobs *j = ((struct daemon *)userdata)->jobs;
	struct job *job;
	int r = job_named(j, ssi_json_str(args, "job"), &job, e);

	if (r == 0)
		r = job_allowed(q, job, e);
	if (r == 0)
		ssi_control_ok(q, job_whole(j, job));
	return r;
}

int control_job_signal(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	json_int_t number = ssi_json_int(args, "signal");
	struct jobs *j = ((struct daemon *)userdata)->jobs;
	struct job *job;
	int r = job_named(j, ssi_json_str(args, "job"), &job, e);

	if (r == 0)
		r = job_allowed(q, job, e);
	if (r == 0 && (number < 1 || number > 63))
		r = ssi_errf(e, -EINVAL, "%lld is no signal", (long long)number);
	if (r == 0 && job->state == JOB_ENDED)
		r = ssi_errf(e, -ESRCH, "job %llu has ended", (unsigned long long)job->s.number);
	if (r < 0)
		return r;
	job_signal(job, (unsigned)number);
	ssi_control_ok(q, json_pack("{s:I, s:b}", "job", (json_int_t)job->s.number, "waits", job_away(j, job)));
	return 0;
}
