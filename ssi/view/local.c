/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real /proc: what is read of it on behalf of a caller, and what that caller may see. It is read as root, so whatever is handed on is asked for here. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/num.h"
#include "ssi/view/view.h"

#define FILE_MAX ((size_t)16 << 20)
#define ENVIRON_MAX ((size_t)256 << 10)

int local_read(const struct view *w, const char *path, struct ssi_buf *b)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = ssi_file_read_at(w->proc, path, FILE_MAX, &text, &n);

	return r < 0 ? r : ssi_buf_add(b, text, n);
}

/* A line "KEY:\t…" of a process's status, behind the blanks; NULL. */
static const char *status_line(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, key, n) && at[n] == ':')
			return at + n + 1 + strspn(at + n + 1, " \t");
	}
	return NULL;
}

static char *read_status(const struct view *w, pid_t pid)
{
	char path[32], *text;

	snprintf(path, sizeof(path), "%d/status", pid);
	return ssi_file_read_at(w->proc, path, FILE_MAX, &text, NULL) < 0 ? NULL : text;
}

int local_tgid(const struct view *w, pid_t tid, pid_t *ret)
{
	_cleanup_free_ char *text = tid > 0 ? read_status(w, tid) : NULL;
	const char *line = text ? status_line(text, "Tgid") : NULL;

	return line && sscanf(line, "%d", ret) == 1 ? 0 : -ENOENT;
}

bool local_uids(const struct view *w, pid_t pid, uid_t *ret_real, uid_t *ret_effective)
{
	_cleanup_free_ char *text = read_status(w, pid);
	const char *line = text ? status_line(text, "Uid") : NULL;

	return line && sscanf(line, "%u %u", ret_real, ret_effective) == 2;
}

int local_names(int dir, const char *path, struct view *w, struct view_list *ret, int (*add)(struct view *w, const char *name, struct view_list *ret))
{
	_cleanup_closedir_ DIR *d = NULL;
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *e; r >= 0 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = add(w, e->d_name, ret);
	return r;
}

/* What the real /proc hides; it may be mounted anew with other options, so this is asked again, at most once a second. */
void local_look(struct view *w)
{
	static const char *const words[] = { "off", "noaccess", "invisible", "", "ptraceable" };
	uint64_t now = ssi_clock_mono_ms();
	struct mntent m;
	char line[4096];
	FILE *f;

	if (w->hide_checked_ms && now - w->hide_checked_ms < 1000)
		return;
	w->hide_checked_ms = now;
	w->hide = 0;
	w->hide_gid = 0;
	f = setmntent("/proc/self/mounts", "re");
	while (f && getmntent_r(f, &m, line, sizeof(line))) {
		const char *o = strcmp(m.mnt_dir, "/proc") == 0 && strcmp(m.mnt_type, "proc") == 0 ? m.mnt_opts : "", *h = strstr(o, "hidepid="), *g = strstr(o, "gid=");

		for (int i = 0; h && i < 5; i++)
			if (h[8] == '0' + i || (*words[i] && !strncmp(h + 8, words[i], strlen(words[i]))))
				w->hide = i;
		while (g && g > o && g[-1] != ',')
			g = strstr(g + 1, "gid=");
		if (g)
			w->hide_gid = (gid_t)strtoul(g + 4, NULL, 10);
	}
	if (f)
		endmntent(f);
}

static bool in_group(const struct view *w, const struct view_caller *c, gid_t gid)
{
	_cleanup_free_ char *text = read_status(w, c->pid);
	const char *line = text ? status_line(text, "Groups") : NULL;
	unsigned long g;
	int used;

	for (; line && sscanf(line, " %lu%n", &g, &used) == 1 && line[0] != '\n'; line += used)
		if (g == gid)
			return true;
	line = text ? status_line(text, "Gid") : NULL;
	return line && sscanf(line, "%*u %lu", &g) == 1 && g == gid;
}

bool local_may_see(struct view *w, const struct view_caller *c, uid_t owner, int level)
{
	if (c->uid == 0 || c->uid == owner)
		return true;
	return w->hide < level || (w->hide_gid && in_group(w, c, w->hide_gid));
}

bool local_only(const struct view *w, const struct view_caller *c)
{
	_cleanup_free_ char *env = NULL;
	char path[32];
	size_t n;

	snprintf(path, sizeof(path), "%d/environ", c->pid);
	if (c->pid <= 0 || ssi_file_read_at(w->proc, path, ENVIRON_MAX, &env, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i += strlen(env + i) + 1)
		if (!strcmp(env + i, "SSI_VIEW=local"))
			return true;
	return false;
}

/* Who may see where /proc/PID/exe, cwd and root lead: about what ptrace(2) says, and the process itself always. */
bool local_may_follow(const struct view *w, const struct view_caller *c, uint32_t pid)
{
	_cleanup_free_ char *text = NULL;
	unsigned uid[3];
	const char *line;
	struct stat st;
	char name[16];
	pid_t tgid;

	if (c->uid == 0 || (local_tgid(w, c->pid, &tgid) == 0 && (uint32_t)tgid == pid))
		return true;
	snprintf(name, sizeof(name), "%" PRIu32, pid);
	text = read_status(w, (pid_t)pid);
	line = text ? status_line(text, "Uid") : NULL;
	/* The folder of a process that may not be looked into belongs to root. */
	return line && sscanf(line, "%u %u %u", &uid[0], &uid[1], &uid[2]) == 3 && uid[0] == c->uid && uid[1] == c->uid && uid[2] == c->uid &&
	       fstatat(w->proc, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == c->uid;
}

int local_number(const char *name, uint32_t *ret)
{
	return isdigit((unsigned char)*name) && *name != '0' ? ssi_num_u32(name, 1, VIEW_NUMBER_MAX, ret) : -EINVAL;
}

bool local_family(const struct view *w, uint32_t pid, struct remote_family *ret)
{
	struct remote_family f;
	char path[32], line[1024];
	const char *end;

	snprintf(path, sizeof(path), "%" PRIu32 "/stat", pid);
	if (ssi_file_read_line_at(w->proc, path, line, sizeof(line)) < 0)
		return false;
	end = strrchr(line, ')');
	if (!end || sscanf(end + 1, " %*c %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNd32, &f.ppid, &f.pgrp, &f.session, &f.tty, &f.tpgid) != 5)
		return false;
	*ret = f;
	return true;
}
