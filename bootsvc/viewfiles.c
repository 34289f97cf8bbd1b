/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns RUN/view. A lock is the sign that somebody reads: the kernel takes it back from who dies. Called when nodes tell something. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "bootsvc/loads.h"
#include "bootsvc/processes.h"
#include "bootsvc/viewfiles.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"

#define VIEWFILES_REST_MS 500
#define VIEWFILES_GATHER_MS 20       /* others who tell at about the same time are in it too */

static const struct { const char *name; int (*write)(struct daemon *d, struct ssi_buf *ret); } viewfiles_table[VIEWFILES] = {
	[VIEWFILE_NODES] = { "nodes", loads_write },
	[VIEWFILE_PROCESSES] = { "processes", processes_write },
};

struct viewfiles {
	struct daemon *daemon;
	char *dir;
	int wanted;                          /* the lock's file */
	sd_event_source *timer, *opened;
	bool armed, told[VIEWFILES], there[VIEWFILES];
	uint64_t written_ms;
};

static bool viewfiles_wanted(const struct viewfiles *v)
{
	if (flock(v->wanted, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	flock(v->wanted, LOCK_UN);
	return false;
}

/* Who may not see others' processes in /proc here may not see them in a file either. */
static mode_t viewfiles_mode(void)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;

	if (ssi_file_read("/proc/self/mounts", 1 << 20, &text, NULL) < 0)
		return 0600;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *hide = strstr(line, "hidepid=");

		if (strstr(line, " /proc proc ") && hide && strncmp(hide, "hidepid=0", 9) != 0 && strncmp(hide, "hidepid=off", 11) != 0)
			return 0600;
	}
	return 0644;
}

static void viewfiles_put(struct viewfiles *v, enum viewfile which, bool wanted)
{
	_cleanup_free_ char *path = ssi_path_join(v->dir, viewfiles_table[which].name);
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	int r;

	if (!path || (!wanted && !v->there[which]))
		return;
	if (!wanted) {
		unlink(path);
		v->there[which] = false;
		return;
	}
	r = viewfiles_table[which].write(v->daemon, &b);
	if (r >= 0)
		r = ssi_file_write_atomic(path, b.data, b.len, which == VIEWFILE_PROCESSES ? viewfiles_mode() : 0644);
	if (r < 0)
		log_warning("%s: %s", path, strerror(-r));
	v->there[which] = r >= 0;
	v->told[which] = false;
}

static int viewfiles_on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct viewfiles *v = userdata;
	bool wanted = viewfiles_wanted(v);

	v->armed = false;
	v->written_ms = ssi_clock_mono_ms();
	for (int i = 0; i < VIEWFILES; i++)
		if (v->told[i] || !wanted)
			viewfiles_put(v, (enum viewfile)i, wanted);
	return 0;
}

void viewfiles_told(struct viewfiles *v, enum viewfile which)
{
	uint64_t now = ssi_clock_mono_ms(), due = now + VIEWFILES_GATHER_MS;

	if (!v)
		return;
	v->told[which] = true;
	if (v->armed)
		return;
	due = v->written_ms + VIEWFILES_REST_MS > due ? v->written_ms + VIEWFILES_REST_MS : due;
	v->armed = sd_event_source_set_time_relative(v->timer, (due - now) * 1000) >= 0 && sd_event_source_set_enabled(v->timer, SD_EVENT_ONESHOT) >= 0;
}

/* Somebody comes to read. */
static int viewfiles_on_opened(sd_event_source *s, const struct inotify_event *ev, void *userdata)
{
	for (int i = 0; i < VIEWFILES; i++)
		viewfiles_told(userdata, (enum viewfile)i);
	return 0;
}

int viewfiles_new(struct daemon *d, struct viewfiles **ret, struct ssi_err *e)
{
	_cleanup_free_ char *path = NULL;
	struct viewfiles *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return ssi_errno(e, -ENOMEM, "view");
	v->daemon = d;
	v->wanted = -1;
	v->dir = ssi_path_join(d->opt->run, "view");
	path = v->dir ? ssi_path_join(v->dir, "wanted") : NULL;
	r = path ? ssi_path_mkdirs(v->dir, 0755) : -ENOMEM;
	if (r >= 0) {
		v->wanted = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		r = v->wanted < 0 ? -errno : 0;
	}
	if (r >= 0)
		r = sd_event_add_time(d->event, &v->timer, CLOCK_MONOTONIC, 0, 10000, viewfiles_on_timer, v);
	if (r >= 0)
		r = sd_event_source_set_enabled(v->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_inotify(d->event, &v->opened, path, IN_OPEN, viewfiles_on_opened, v);
	if (r < 0) {
		viewfiles_free(v);
		return ssi_errno(e, r, "%s/view", d->opt->run);
	}
	for (int i = 0; i < VIEWFILES; i++)
		v->there[i] = true;          /* of a daemon before us, perhaps */
	*ret = v;
	return 0;
}

void viewfiles_free(struct viewfiles *v)
{
	if (!v)
		return;
	sd_event_source_disable_unref(v->opened);
	sd_event_source_disable_unref(v->timer);
	if (v->wanted >= 0)
		close(v->wanted);
	free(v->dir);
	free(v);
}
