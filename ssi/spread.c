/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the folders of links in the user's cache: one for each list of names, which stays, so that the next shell finds it. Called by verb-shell.c. */
#include "ssi/spread.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/map.h"
#include "libssi/base/path.h"

/* What needs nothing of a node: compilers of which one half runs here, and filters. */
#define SPREAD_RULE "cc1,cc1plus,xz,zstd,bzip2,gzip,pigz,ffmpeg"

/* Where this program is installed, that one is. */
static int spread_program(char *buf, size_t n, struct ssi_err *e)
{
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t k = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[k > 0 ? k : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	snprintf(path, sizeof(path), "%s/../libexec/ssi/ssi-spread", self);
	if (access(path, X_OK) < 0)
		snprintf(path, sizeof(path), "%s/ssi-spread", SSI_LIBEXECDIR);
	if (!realpath(path, self) || snprintf(buf, n, "%s", self) >= (int)n)
		return ssi_errno(e, -errno, "%s", path);
	return 0;
}

static const char *spread_path(void)
{
	return getenv("PATH") ?: "/usr/local/bin:/usr/bin:/bin";
}

static bool spread_in_path(const char *name)
{
	for (const char *at = spread_path(); at;) {
		bool unnamed = strchr(":", *at);
		char *path = ssi_path_search(&at, name);
		bool there = path && !unnamed && access(path, X_OK) == 0;

		free(path);
		if (there)
			return true;
	}
	return false;
}

static char *spread_folder(const char *names, struct ssi_err *e)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *dir = NULL;
	struct stat st;
	int r;

	if ((!cache || cache[0] != '/') && (!home || home[0] != '/')) {
		ssi_errf(e, -ENOENT, "--spread needs a HOME: it keeps links there");
		return NULL;
	}
	if (cache && cache[0] == '/')
		r = asprintf(&dir, "%s/ssi/spread-%zx", cache, ssi_map_hash(names));
	else
		r = asprintf(&dir, "%s/.cache/ssi/spread-%zx", home, ssi_map_hash(names));
	r = r < 0 ? -ENOMEM : ssi_path_mkdirs(dir, 0700);
	/* In another's folder (root with a user's HOME) that one could put his own in its place. */
	if (r == 0 && stat(cache && cache[0] == '/' ? cache : home, &st) == 0 && st.st_uid != 0 && st.st_uid != getuid())
		r = -EPERM;
	if (r == 0 && lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == getuid() && !(st.st_mode & 022))
		return dir;
	ssi_errf(e, r < 0 ? r : -EPERM, "%s: %s", dir ?: "the cache", r < 0 ? strerror(-r) : "not yours alone to write");
	free(dir);
	return NULL;
}

/* A link that leads elsewhere (another version of this was there) is replaced. */
static int spread_link(const char *dir, const char *name, const char *program, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name);
	char is[PATH_MAX];
	ssize_t n = path ? readlink(path, is, sizeof(is) - 1) : -1;

	if (!path)
		return ssi_errno(e, -ENOMEM, "%s", dir);
	if (n > 0) {
		is[n] = '\0';
		if (strcmp(is, program) == 0)
			return 0;
		unlink(path);
	}
	return symlink(program, path) < 0 && errno != EEXIST ? ssi_errno(e, -errno, "%s", path) : 0;
}

/*
 * A program of a compiler's own, .../lib/gcc/TARGET/VERSION/cc1: DIR/TARGET/VERSION/cc1 is where that compiler, and no other, looks for it first
 * (COMPILER_PATH), and DIR/TARGET/VERSION/.cc1 leads to the real one.
 */
static int spread_own(const char *dir, const char *real, const char *program, struct ssi_err *e)
{
	_cleanup_free_ char *sub = NULL, *behind = NULL, *whole = realpath(real, NULL);
	const char *name = strrchr(real, '/'), *at = name;
	int r;

	for (int up = 0; up < 2; up++)
		for (at--; at > real && *at != '/'; at--)
			;
	if (!whole)
		return ssi_errno(e, -errno, "%s", real);
	if (asprintf(&sub, "%s/%.*s", dir, (int)(name - at - 1), at + 1) < 0 || asprintf(&behind, ".%s", name + 1) < 0)
		return ssi_errno(e, -ENOMEM, "%s", dir);
	r = ssi_path_mkdirs(sub, 0700);
	if (r < 0)
		return ssi_errno(e, r, "%s", sub);
	r = spread_link(sub, behind, whole, e);
	return r < 0 ? r : spread_link(sub, name + 1, program, e);
}

/* Every compiler beside a folder of the PATH: how many have a program of this name? */
static int spread_compilers(const char *dir, const char *name, const char *program, struct ssi_err *e)
{
	static const char *const places[] = { "lib/gcc", "libexec/gcc", "lib/gcc-cross", "libexec/gcc-cross" };
	const char *at = spread_path();
	int found = 0, r = 0;

	for (size_t n; *at && r >= 0; at += n + (at[n] == ':')) {
		n = strcspn(at, ":");
		for (size_t i = 0; n && i < sizeof(places) / sizeof(*places) && r >= 0; i++) {
			char pattern[PATH_MAX];
			glob_t g = { 0 };

			if (snprintf(pattern, sizeof(pattern), "%.*s/../%s/*/*/%s", (int)n, at, places[i], name) < (int)sizeof(pattern) && glob(pattern, 0, NULL, &g) == 0)
				for (size_t k = 0; k < g.gl_pathc && r >= 0; k++, found++)
					r = spread_own(dir, g.gl_pathv[k], program, e);
			globfree(&g);
		}
	}
	return r < 0 ? r : found;
}

static int spread_links(const char *dir, const char *names, const char *program, struct ssi_err *e)
{
	_cleanup_free_ char *list = strdup(names);
	char *save, *name;
	int n = 0, r;

	for (name = list ? strtok_r(list, ", ", &save) : NULL; name; name = strtok_r(NULL, ", ", &save)) {
		if (!ssi_path_is_name(name))
			return ssi_errf(e, -EINVAL, "--only: '%.64s' is not the name of a program", name);
		r = spread_in_path(name) ? spread_link(dir, name, program, e) ?: 1 : spread_compilers(dir, name, program, e);
		if (r < 0)
			return r;
		n += r;
	}
	return n ? 0 : ssi_errf(e, -ENOENT, "none of these is in the PATH, or a compiler's: %s", names);
}

int spread_begin(const char *only, const char *policy, struct ssi_err *e)
{
	const char *names = only ?: SPREAD_RULE, *compilers = getenv("COMPILER_PATH");
	char program[PATH_MAX];
	_cleanup_free_ char *dir = spread_folder(names, e), *path = NULL, *own = NULL;
	int r = dir ? spread_program(program, sizeof(program), e) : e->code;

	if (r == 0)
		r = spread_links(dir, names, program, e);
	if (r < 0)
		return r;
	if (asprintf(&path, "%s:%s", dir, spread_path()) < 0 || asprintf(&own, "%s%s%s", dir, compilers ? ":" : "", compilers ?: "") < 0 ||
	    setenv("PATH", path, 1) < 0 || setenv("COMPILER_PATH", own, 1) < 0 || setenv("SSI_SPREAD", policy ?: "", 1) < 0)
		return ssi_errno(e, -ENOMEM, "PATH");
	return 0;
}
