/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared file systems: their folders are there, on something that NFS can export, and user numbers cross as numbers. */
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "bootsvc/check.h"
#include "bootsvc/shared.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"

/* What knfsd cannot make handles for (linux/magic.h), or must not. */
static const char *not_exportable(const char *path)
{
	static const struct { unsigned long magic; const char *name; } never[] = {
		{ 0x794c7630, "overlayfs" }, { 0x6969, "NFS" }, { 0x9fa0, "proc" }, { 0x62656572, "sysfs" }, { 0x65735546, "FUSE" }, { 0xff534d42, "CIFS" },
	};
	struct statfs f;

	if (statfs(path, &f) < 0)
		return NULL;
	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		if ((unsigned long)f.f_type == never[i].magic)
			return never[i].name;
	return NULL;
}

/* Is it the top of a file system? Then nothing else is on what nodes could guess handles of. */
static bool of_its_own(const char *path)
{
	_cleanup_free_ char *up = ssi_path_join(path, "..");
	struct stat a, b;

	return up && stat(path, &a) == 0 && stat(up, &b) == 0 && a.st_dev != b.st_dev;
}

static void check_path(const char *system, const struct ssi_shared *s, struct check_report *r)
{
	const char *kind;
	struct stat st;

	if (stat(s->path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		check_problem(r, "make it, or mount it, then run 'ssi-bootsvc reload'", "system %s: there is no folder %s on this master", system, s->path);
		return;
	}
	kind = not_exportable(s->path);
	if (kind)
		check_problem(r, "put it on a file system of its own, ext4 or XFS", "system %s: %s is on %s, which cannot be exported over NFS", system, s->path, kind);
	else if (!of_its_own(s->path))
		check_note(r, "system %s: %s is part of a larger file system; a node's root that guesses handles can reach what anyone may read there", system, s->path);
	if (s->root)
		check_note(r, "system %s: the root of every node is root in %s", system, s->path);
}

static void check_numbers(const struct check_context *c, struct check_report *r)
{
	_cleanup_free_ char *path = ssi_path_join(c->sys, "module/nfsd/parameters/nfs4_disable_idmapping");
	char line[8];

	if (path && ssi_file_read_line(path, line, sizeof(line)) >= 0 && line[0] == 'N')
		check_problem(r, "write 'options nfsd nfs4_disable_idmapping=1' to /etc/modprobe.d/ssi.conf and start this host again",
			      "the NFS server maps users by name, so that files belong to nobody on nodes that do not know them");
}

void check_shared(const struct check_context *c, struct check_report *r)
{
	size_t n = 0;

	if (!c->registry) {
		check_unknown(r, "nodes.d has mistakes");
		return;
	}
	for (size_t i = 0; i < c->registry->n_systems; i++) {
		const struct ssi_system *system = c->registry->systems[i];
		const char *text = system->shared;
		struct ssi_shared s;

		for (; ssi_shared_next(&text, &s); n++)
			check_path(system->name, &s, r);
	}
	if (n)
		check_numbers(c, r);
	else
		check_note(r, "nothing is shared");
}
