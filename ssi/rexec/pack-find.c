/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the files of a program: in PATH, and behind #!. Called by pack.c and pack-libs.c. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/path.h"
#include "ssi/rexec/pack-internal.h"

#define FIND_PATH "/bin:/usr/bin"        /* as execvp(3) without a PATH */
#define FIND_LINE 256                    /* the kernel's BINPRM_BUF_SIZE */

const char *pack_env(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env; env++)
		if (!strncmp(*env, name, n) && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

static const char *find_absolute(struct ssi_pack *p, const char *path)
{
	_cleanup_free_ char *cwd = NULL;

	if (path[0] == '/')
		return ssi_arena_strdup(&p->arena, path);
	cwd = getcwd(NULL, 0);
	while (path[0] == '.' && path[1] == '/')
		path += 2 + strspn(path + 2, "/");
	return cwd ? ssi_arena_printf(&p->arena, "%s/%s", !strcmp(cwd, "/") ? "" : cwd, path) : NULL;
}

/* 0, or why it cannot be executed. */
static int find_may_run(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int find_in_path(struct ssi_pack *p, const char *command, const char **ret, struct ssi_err *e)
{
	const char *at = pack_env(p->env, "PATH") ?: FIND_PATH, *refused = NULL;

	while (at) {
		_cleanup_free_ char *file = ssi_path_search(&at, command);
		int r = file ? find_may_run(file) : -ENOMEM;

		if (r == -ENOMEM)
			return r;
		if (r == 0) {
			*ret = find_absolute(p, file);
			return *ret ? 0 : ssi_errf(e, -ENOENT, "%s: the working directory is not there any more", command);
		}
		if (r == -EACCES)
			refused = ssi_arena_strdup(&p->arena, file);
	}
	if (refused)
		return ssi_errf(e, -EACCES, "%s may not be executed by you", refused);
	return ssi_errf(e, -ENOENT, "there is no program %s in your PATH", command);
}

int pack_find(struct ssi_pack *p, const char *command, const char **ret, struct ssi_err *e)
{
	int r;

	if (!*command)
		return ssi_errf(e, -ENOENT, "the name of the program is empty");
	if (!strchr(command, '/'))
		return find_in_path(p, command, ret, e);
	r = find_may_run(command);
	if (r == -EISDIR)
		return ssi_errf(e, -EACCES, "%s is a folder", command);
	if (r == -EACCES)
		return ssi_errf(e, -EACCES, "%s may not be executed by you", command);
	if (r == -ENOENT || r == -ENOTDIR)
		return ssi_errf(e, -ENOENT, "there is no program %s", command);
	if (r < 0)
		return ssi_errno(e, r, "%s", command);
	*ret = find_absolute(p, command);
	return *ret ? 0 : ssi_errf(e, -ENOENT, "%s: the working directory is not there any more", command);
}

int pack_open(struct ssi_pack *p, const char *path, struct pack_file **ret, struct ssi_err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct pack_file *f;

	if (fd < 0 && errno == EACCES)
		return ssi_errf(e, -EACCES, "%s may not be read by you, so it cannot travel", path);
	if (fd < 0)
		return ssi_errno(e, -errno, "%s", path);
	f = ssi_arena_alloc(&p->arena, sizeof(*f));
	if (!f || !(f->path = ssi_arena_strdup(&p->arena, path)))
		return ssi_errf(e, -ENOMEM, "no memory for %s", path);
	if (fstat(fd, &f->st) < 0)
		return ssi_errno(e, -errno, "%s", path);
	if (!S_ISREG(f->st.st_mode))
		return ssi_errf(e, -EACCES, "%s is no file", path);
	f->fd = -1;
	if (ssi_arena_push(&p->arena, &p->files, &p->n_files, f) < 0)
		return ssi_errf(e, -ENOMEM, "no memory for %s", path);
	f->fd = TAKE_FD(fd);
	*ret = f;
	return 0;
}

int pack_digest(struct ssi_pack *p, struct pack_file *f, struct ssi_err *e)
{
	int r = ssi_digests_of(p->digests, f->fd, &f->st, f->digest);

	if (r == -ESTALE)
		return ssi_errf(e, r, "%s was changed while it was read: start it again once it is whole", f->path);
	if (r < 0)
		return ssi_errno(e, r, "%s cannot be read", f->path);
	ssi__job__file__init(&f->message);
	f->message.path = (char *)f->path;
	f->message.digest = (ProtobufCBinaryData){ SSI_HASH_BYTES, f->digest };
	f->message.size = (uint64_t)f->st.st_size;
	f->message.mode = f->st.st_mode & 0555;
	return 0;
}

/* --- scripts --- */

static char *find_word(char **at)
{
	char *word = *at + strspn(*at, " \t");

	*at = word + strcspn(word, " \t");
	if (**at)
		*(*at)++ = '\0';
	return word;
}

/* "#!/usr/bin/env NAME" looks for NAME in PATH when it is started; here that is done now, with the PATH of who starts it. */
static int script_env(struct ssi_pack *p, char *arg, const char **ret_path, const char **ret_arg, struct ssi_err *e)
{
	char *name;

	if (!strncmp(arg, "-S", 2))
		arg += 2;
	name = find_word(&arg);
	arg += strspn(arg, " \t");
	if (!*name || *name == '-' || strchr(name, '=') || strpbrk(arg, " \t\\\"'$"))
		return 0;
	*ret_arg = *arg ? ssi_arena_strdup(&p->arena, arg) : NULL;
	return pack_find(p, name, ret_path, e);
}

int pack_script(struct ssi_pack *p, const struct pack_file *f, const char **ret_path, const char **ret_arg, struct ssi_err *e)
{
	char line[FIND_LINE + 1], *at = line + 2, *interpreter;
	ssize_t n = pread(f->fd, line, FIND_LINE, 0);
	const char *base;

	if (n < 0)
		return ssi_errno(e, -errno, "%s cannot be read", f->path);
	line[n] = '\0';
	if (ssi_elf_is(line, (size_t)n))
		return 0;
	*ret_arg = NULL;
	*ret_path = "/bin/sh";
	if (strncmp(line, "#!", 2) != 0)
		return memchr(line, '\0', (size_t)n) ? ssi_errf(e, -ENOEXEC, "%s is neither an ELF program nor a script", f->path) : 1;
	line[strcspn(line, "\n")] = '\0';
	for (size_t k = strlen(line); k > 2 && strchr(" \t", line[k - 1]); k--)
		line[k - 1] = '\0';
	interpreter = find_word(&at);
	at += strspn(at, " \t");
	if (!*interpreter)
		return ssi_errf(e, -ENOEXEC, "%s names no interpreter behind its #!", f->path);
	*ret_path = ssi_arena_strdup(&p->arena, interpreter);
	*ret_arg = *at ? ssi_arena_strdup(&p->arena, at) : NULL;
	base = strrchr(interpreter, '/');
	if (*at && base && !strcmp(base, "/env")) {
		int r = script_env(p, at, ret_path, ret_arg, e);

		if (r < 0)
			return ssi_err_prefix(e, "%s", f->path);
	}
	return p->arena.failed ? ssi_errf(e, -ENOMEM, "no memory for %s", f->path) : 1;
}
