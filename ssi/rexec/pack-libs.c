/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the libraries of a program where its loader would (ld.so(8)): the RPATHs of who asks and of who asked for that one, LD_LIBRARY_PATH, RUNPATH,
 * ld.so.cache, the loader's own folders. Nothing is executed for it. Libraries for a certain processor (glibc-hwcaps) are passed over, what
 * dlopen(3) will ask for cannot be seen: that is the node's own, or comes by LD_LIBRARY_PATH there.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "ssi/rexec/libs.h"
#include "ssi/rexec/pack-internal.h"

#define LIBS_CACHE "/etc/ld.so.cache"
#define LIBS_CACHE_MAX (16u << 20)

struct libs_ask {
	struct pack_file *by;
	const char *name;
	struct pack_file *found;
};

static const char *libs_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- one candidate --- */

/* 1: this is it; 0: it is not there, or for another machine. */
static int libs_try(struct ssi_pack *p, struct libs_ask *ask, const char *path, struct ssi_err *e)
{
	struct pack_file *f;
	int r;

	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0)
		return 0;
	r = pack_open(p, path, &f, e);
	if (r < 0)
		return r == -EACCES || r == -ENOENT ? 0 : r;
	f->by = ask->by;
	r = ssi_elf_read(f->fd, f->path, &p->arena, &f->elf, e);
	if (r >= 0 && f->elf.machine == p->elf->elf.machine && f->elf.wide == p->elf->elf.wide && f->elf.type == ET_DYN) {
		ask->found = f;
		return 1;
	}
	/* The newest file is taken back: another folder may have the right one. */
	close(f->fd);
	p->n_files--;
	return r == -ENOMEM || r == -EIO ? r : 0;
}

/* --- lists of folders --- */

/* $ORIGIN, $LIB and $PLATFORM, with braces or without; NULL: no memory. */
static char *libs_expand(struct ssi_pack *p, const char *text, size_t n, const char *origin)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;

	for (size_t i = 0; i < n;) {
		size_t brace = i + 1 < n && text[i + 1] == '{', at = i + 1 + brace, len = 0;

		while (text[i] == '$' && at + len < n && ((text[at + len] >= 'A' && text[at + len] <= 'Z') || text[at + len] == '_'))
			len++;
		if (text[i] == '$' && len == 6 && !strncmp(text + at, "ORIGIN", 6))
			ssi_buf_adds(&b, origin);
		else if (text[i] == '$' && len == 3 && !strncmp(text + at, "LIB", 3))
			ssi_buf_addf(&b, "lib/%s-linux-gnu", p->own.machine);
		else if (text[i] == '$' && len == 8 && !strncmp(text + at, "PLATFORM", 8))
			ssi_buf_adds(&b, p->own.machine);
		else
			len = 0;
		if (!len) {
			ssi_buf_add(&b, text + i++, 1);
			continue;
		}
		i = at + len;
		if (brace && i < n && text[i] == '}')
			i++;
	}
	return ssi_buf_take(&b);
}

/* The folder of who asks: of the program itself without symbolic links, as the kernel names it to the loader. */
static char *libs_origin(const struct ssi_pack *p, const struct pack_file *f)
{
	char *path = f == p->elf ? realpath(f->path, NULL) : strdup(f->path), *slash = path ? strrchr(path, '/') : NULL;

	if (slash)
		slash[slash == path] = '\0';
	return path;
}

static int libs_in_list(struct ssi_pack *p, struct libs_ask *ask, const char *list, const struct pack_file *whose, const char *separators, struct ssi_err *e)
{
	_cleanup_free_ char *origin = libs_origin(p, whose);

	if (!origin)
		return ssi_errno(e, -errno, "%s", whose->path);
	for (; list && *list; list = *list ? list + 1 : NULL) {
		size_t n = strcspn(list, separators);
		_cleanup_free_ char *folder = libs_expand(p, list, n, origin), *path = NULL;
		int r;

		if (!folder || asprintf(&path, "%s%s%s", folder, *folder ? "/" : "./", ask->name) < 0)
			return ssi_errf(e, -ENOMEM, "no memory for the name of a library");
		r = libs_try(p, ask, path, e);
		if (r)
			return r;
		list += n;
	}
	return 0;
}

/* RPATH counts only in files without a RUNPATH, but then for what these ask for in turn, too. */
static int libs_by_rpath(struct ssi_pack *p, struct libs_ask *ask, struct ssi_err *e)
{
	int r = 0;

	if (ask->by->elf.runpath)
		return 0;
	for (const struct pack_file *f = ask->by; f && !r; f = f->by)
		if (f->elf.rpath && !f->elf.runpath)
			r = libs_in_list(p, ask, f->elf.rpath, f, ":", e);
	return r;
}

static int libs_by_cache(struct ssi_pack *p, struct libs_ask *ask, struct ssi_err *e)
{
	const char *path;
	uint32_t at = 0;
	size_t n;
	int r = 0;

	if (!p->cache_text) {
		if (ssi_file_read(LIBS_CACHE, LIBS_CACHE_MAX, &p->cache_text, &n) < 0)
			return 0;        /* without one there are the folders */
		if (ssi_ldcache_parse(p->cache_text, n, &p->cache) < 0)
			p->cache = (struct ssi_ldcache){ 0 };
	}
	while (!r && (path = ssi_ldcache_next(&p->cache, ask->name, &at)))
		r = libs_try(p, ask, path, e);
	return r;
}

static int libs_by_folders(struct ssi_pack *p, struct libs_ask *ask, struct ssi_err *e)
{
	int r = 0;

	for (size_t i = 0; !r && p->folders[i]; i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", p->folders[i], ask->name) < 0)
			return ssi_errf(e, -ENOMEM, "no memory for the name of a library");
		r = libs_try(p, ask, path, e);
	}
	return r;
}

/* musl's loader has a list of its own, and no cache. */
static int libs_by_musl(struct ssi_pack *p, struct libs_ask *ask, struct ssi_err *e)
{
	_cleanup_free_ char *path = NULL, *list = NULL;

	if (asprintf(&path, "/etc/ld-musl-%s.path", p->own.machine) < 0)
		return ssi_errf(e, -ENOMEM, "no memory for the name of a library");
	if (ssi_file_read(path, 64u << 10, &list, NULL) >= 0)
		for (size_t n = strlen(list); n && list[n - 1] == '\n'; n--)
			list[n - 1] = '\0';
	return libs_in_list(p, ask, list ? list : "/lib:/usr/local/lib:/usr/lib", p->elf, ":\n", e);
}

static int libs_find(struct ssi_pack *p, struct libs_ask *ask, struct ssi_err *e)
{
	bool musl = ssi_libs_is_musl(p->elf->elf.interpreter);
	const char *given = pack_env(p->env, "LD_LIBRARY_PATH");
	int r = libs_by_rpath(p, ask, e);

	if (!r && given && *given)
		r = libs_in_list(p, ask, given, p->elf, ":;", e);
	if (!r && ask->by->elf.runpath)
		r = libs_in_list(p, ask, ask->by->elf.runpath, ask->by, ":", e);
	if (!r && musl)
		r = libs_by_musl(p, ask, e);
	if (!r && !musl)
		r = libs_by_cache(p, ask, e);
	if (!r && !musl)
		r = libs_by_folders(p, ask, e);
	if (!r)
		return ssi_errf(e, -ELIBACC, "%s needs the library %s, which is nowhere to be found: install it, or name its folder in LD_LIBRARY_PATH", ask->by->path,
			ask->name);
	return r < 0 ? r : 0;
}

/* --- all of them --- */

/* Known by that name, or part of the loader itself. */
static bool libs_known(const struct ssi_pack *p, const char *name)
{
	const char *interpreter = p->elf->elf.interpreter;

	if (!strcmp(name, libs_base(interpreter)))
		return true;
	if (ssi_libs_is_musl(interpreter) && ssi_libs_is_libc(name))
		return true;
	for (size_t i = 0; i < p->program.n_libraries; i++)
		if (!strcmp(name, libs_base(p->program.libraries[i]->path)))
			return true;
	return false;
}

static int libs_add(struct ssi_pack *p, struct pack_file *by, const char *name, struct ssi_err *e)
{
	struct libs_ask ask = { .by = by, .name = name };
	int r;

	if (strchr(name, '/') && name[0] != '/')
		return ssi_errf(e, -ELIBACC, "%s asks for its library by the path %s, so it cannot travel: link it with -L and -l", by->path, name);
	if (name[0] == '/')
		r = libs_try(p, &ask, name, e);
	else
		r = libs_find(p, &ask, e);
	if (r < 0)
		return r;
	if (!ask.found)
		return ssi_errf(e, -ELIBACC, "%s needs the library %s, which is not there", by->path, name);
	if (p->program.n_libraries == SSI_PACK_LIBRARIES)
		return ssi_errf(e, -E2BIG, "%s needs more than %u libraries", p->elf->path, SSI_PACK_LIBRARIES);
	r = pack_digest(p, ask.found, e);
	if (r < 0)
		return r;
	if (ssi_arena_push(&p->arena, &p->program.libraries, &p->program.n_libraries, &ask.found->message) < 0)
		return ssi_errf(e, -ENOMEM, "no memory for %s", name);
	return 0;
}

static int libs_needed(struct ssi_pack *p, struct pack_file *f, struct ssi_err *e)
{
	int r = 0;

	for (size_t i = 0; i < f->elf.n_needed && r >= 0; i++)
		if (!libs_known(p, libs_base(f->elf.needed[i])))
			r = libs_add(p, f, f->elf.needed[i], e);
	return r;
}

int pack_libs(struct ssi_pack *p, struct ssi_err *e)
{
	size_t first = p->n_files;
	int r;

	p->folders = ssi_libs_folders(p->own.machine);
	if (!p->folders)
		return ssi_errf(e, -ENOMEM, "no memory for %s", p->elf->path);
	r = libs_needed(p, p->elf, e);
	for (size_t i = first; i < p->n_files && r >= 0; i++)
		r = libs_needed(p, p->files[i], e);
	return r;
}

int pack_libs_more(struct ssi_pack *p, const char *const *names, size_t n, struct ssi_err *e)
{
	size_t first = p->n_files, before = p->program.n_libraries;
	int r = 0;

	for (size_t i = 0; i < n && (r >= 0 || r == -ELIBACC); i++)
		if (!libs_known(p, names[i]) && !strchr(names[i], '/'))
			r = libs_add(p, p->elf, names[i], e);
	for (size_t i = first; i < p->n_files && (r >= 0 || r == -ELIBACC); i++)
		r = libs_needed(p, p->files[i], e);
	p->program.tree_libraries = (uint32_t)(p->program.n_libraries - before);
	return r == -ELIBACC ? 0 : r;
}
