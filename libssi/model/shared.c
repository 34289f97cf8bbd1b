/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The value of 'shared': read by the registry, by whoever exports (bootsvc) and by whoever mounts (ssi-init). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "libssi/model/shared.h"

#define SHARED_BETWEEN ", \t"
#define SHARED_ROOT ":no_root_squash"
#define SHARED_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/"

/* Absolute, and in its shortest form: what is compared as text is the same place or another. */
static bool shared_is_path(const char *path)
{
	size_t n = strlen(path);

	if (path[0] != '/' || n < 2 || path[n - 1] == '/' || path[strspn(path, SHARED_LETTERS)])
		return false;
	for (const char *p = path; *p; p++)
		if (p[0] == '/' && (p[1] == '/' || (p[1] == '.' && (p[2] == '/' || !p[2] || (p[2] == '.' && (p[3] == '/' || !p[3]))))))
			return false;
	return true;
}

/* Is path this folder, or below it? */
static bool shared_within(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(path, folder, n) && (!path[n] || path[n] == '/');
}

/* What a node must have of its own: what the kernel and PID 1 mount, and what makes it this node. */
static const char *shared_taken(const char *path)
{
	static const char *const whole[] = { "/dev", "/proc", "/run", "/sys", "/tmp", "/boot", "/etc" };
	static const char *const itself[] = { "/bin", "/lib", "/lib64", "/sbin", "/usr", "/usr/bin", "/usr/lib", "/usr/sbin", "/var" };

	for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++)
		if (shared_within(path, whole[i]))
			return whole[i];
	for (size_t i = 0; i < sizeof(itself) / sizeof(*itself); i++)
		if (!strcmp(path, itself[i]))
			return itself[i];
	return NULL;
}

/* 1, 0 at the end, -EINVAL with the word in *ret_word, *ret_len. */
static int shared_read(const char **text, struct ssi_shared *ret, const char **ret_word, size_t *ret_len)
{
	const char *word = *text + strspn(*text, SHARED_BETWEEN), *colon;
	size_t n = strcspn(word, SHARED_BETWEEN), len;
	struct ssi_shared s = { .root = false };

	if (!n)
		return 0;
	*ret_word = word;
	*ret_len = n;
	colon = memchr(word, ':', n);
	len = colon ? (size_t)(colon - word) : n;
	if (colon && (n - len != strlen(SHARED_ROOT) || strncmp(colon, SHARED_ROOT, n - len) != 0))
		return -EINVAL;
	if (len >= sizeof(s.path))
		return -EINVAL;
	memcpy(s.path, word, len);
	s.path[len] = '\0';
	if (!shared_is_path(s.path))
		return -EINVAL;
	s.root = colon;
	*text = word + n;
	*ret = s;
	return 1;
}

bool ssi_shared_next(const char **text, struct ssi_shared *ret)
{
	const char *word;
	size_t n;

	return shared_read(text, ret, &word, &n) > 0;
}

int ssi_shared_check(const char *text, struct ssi_err *e)
{
	char seen[SSI_SHARED_MAX][SSI_SHARED_PATH], line[SSI_SHARED_TEXT];
	const char *rest = text, *word = text;
	struct ssi_shared s;
	size_t n = 0, len = 0;
	int r;

	while ((r = shared_read(&rest, &s, &word, &len)) > 0) {
		if (shared_taken(s.path))
			return ssi_errf(e, -EINVAL, "%s: a node has a %s of its own", s.path, shared_taken(s.path));
		for (size_t i = 0; i < n; i++)
			if (shared_within(s.path, seen[i]) || shared_within(seen[i], s.path))
				return ssi_errf(e, -EINVAL, "%s: %s is shared already", s.path, seen[i]);
		if (n == SSI_SHARED_MAX)
			return ssi_errf(e, -E2BIG, "more than %d paths", SSI_SHARED_MAX);
		strcpy(seen[n++], s.path);
	}
	if (r < 0)
		return ssi_errf(e, r, "'%.*s': not a path such as /home or /home:no_root_squash (at most %d bytes of letters, digits and ._-/)",
				(int)(len < 80 ? len : 80), word, SSI_SHARED_PATH - 1);
	return ssi_shared_paths(text, line, sizeof(line)) < 0 ? ssi_errf(e, -E2BIG, "more than %d bytes of paths", SSI_SHARED_TEXT - 1) : 0;
}

/* Any letters: where somebody works, not what is mounted. */
static bool shared_is_short(const char *path)
{
	if (path[0] != '/')
		return false;
	for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/'))
		if (p[1] == '/' || (p[1] == '.' && (p[2] == '/' || !p[2] || (p[2] == '.' && (p[3] == '/' || !p[3])))))
			return false;
	return true;
}

bool ssi_shared_holds(const char *text, const char *path)
{
	struct ssi_shared s;

	if (!shared_is_short(path))
		return false;
	while (ssi_shared_next(&text, &s))
		if (shared_within(path, s.path))
			return true;
	return false;
}

int ssi_shared_paths(const char *text, char *buf, size_t n)
{
	struct ssi_shared s;
	size_t len = 0;

	if (!n)
		return -ENOSPC;
	buf[0] = '\0';
	while (ssi_shared_next(&text, &s)) {
		int more = snprintf(buf + len, n - len, "%s%s", len ? "," : "", s.path);

		if (more < 0 || (size_t)more >= n - len)
			return -ENOSPC;
		len += (size_t)more;
	}
	return 0;
}

void ssi_shared_name(const char *path, char ret[SSI_SHARED_NAME])
{
	snprintf(ret, SSI_SHARED_NAME, "shared%s", path);
	for (char *p = ret; *p; p++)
		if (*p == '/')
			*p = '+';
}

bool ssi_shared_is_name(const char *name)
{
	return !strncmp(name, "shared+", strlen("shared+"));
}
