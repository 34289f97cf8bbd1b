/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must be installed: kernel modules, programs, iPXE's files, and the fence agents that nodes.d names. */
#include <string.h>

#include "bootsvc/check.h"
#include "bootsvc/power-agent.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"

#define MODPROBE_TIMEOUT_MS 5000

struct wanted { const char *name, *why, *advice; };

/* Is it a line of /proc/filesystems? */
static bool filesystem_known(const struct check_context *c, const char *name)
{
	_cleanup_free_ char *path = ssi_path_join(c->proc, "filesystems"), *text = NULL;
	size_t n = strlen(name);

	if (!path || ssi_file_read(path, 1 << 20, &text, NULL) < 0)
		return false;
	for (const char *p = text; (p = strstr(p, name)); p += n)
		if (p > text && p[-1] == '\t' && (p[n] == '\n' || !p[n]))
			return true;
	return false;
}

static bool module_there(const struct check_context *c, const char *name)
{
	char *argv[] = { "modprobe", "-n", "-q", (char *)name, NULL };
	_cleanup_free_ char *loaded = ssi_path_join3(c->sys, "module", name);

	if (filesystem_known(c, name) || (loaded && access(loaded, F_OK) == 0))
		return true;
	return ssi_spawn_run(argv, MODPROBE_TIMEOUT_MS, NULL) >= 0;
}

void check_modules(const struct check_context *c, struct check_report *r)
{
	static const struct wanted modules[] = {
		{ "nfsd", "serves the nodes' root", "install a kernel that has it: linux-image-amd64" },
		{ "iscsi_target_mod", "serves images and state volumes as disks", "install a kernel that has it: linux-image-amd64" },
		{ "target_core_iblock", "serves images as disks", "install a kernel that has it: linux-image-amd64" },
		{ "target_core_file", "serves state volumes as disks", "install a kernel that has it: linux-image-amd64" },
		{ "loop", "mounts images", "install a kernel that has it: linux-image-amd64" },
		{ "erofs", "is the images' file system", "install a kernel that has it: linux-image-amd64" },
		{ "overlay", "lays the nodes' writable layer over their root (image builds use it too)", "install a kernel that has it: linux-image-amd64" },
	};

	for (size_t i = 0; i < sizeof(modules) / sizeof(*modules); i++)
		if ((strcmp(modules[i].name, "nfsd") != 0 || check_uses(c, "nfs")) && (!strstr(modules[i].name, "target") || check_uses_disks(c)) &&
		    !module_there(c, modules[i].name))
			check_problem(r, modules[i].advice, "this kernel has no %s, which %s", modules[i].name, modules[i].why);
}

/* Is this program one that state volumes need, and no node has such a volume? Then false. */
static bool volumes_want(const struct check_context *c, const char *program)
{
	const char *fs = strcmp(program, "mkfs.xfs") == 0 ? "xfs" : strcmp(program, "mkfs.ext4") == 0 || strcmp(program, "e2fsck") == 0 ? "ext4" : NULL;

	for (size_t i = 0; fs && c->registry && i < c->registry->n_nodes; i++)
		if (c->registry->nodes[i]->state && strcmp(c->registry->nodes[i]->state_fs, fs) == 0)
			return true;
	return !fs;
}

void check_tools(const struct check_context *c, struct check_report *r)
{
	static const struct wanted programs[] = {
		{ "dnsmasq", "answers DHCP and TFTP", "run 'apt install dnsmasq-base'" },
		{ "exportfs", "exports the nodes' root", "run 'apt install nfs-kernel-server'" },
		{ "mount", "mounts images", "run 'apt install mount'" },
		{ "mkfs.ext4", "makes state volumes", "run 'apt install e2fsprogs'" },
		{ "e2fsck", "checks state volumes", "run 'apt install e2fsprogs'" },
		{ "mkfs.xfs", "makes state volumes", "run 'apt install xfsprogs'" },
		{ "nft", "closes the doors to machines that are fenced", "run 'apt install nftables'" },
	};
	static const struct wanted files[] = {
		{ "/usr/lib/ipxe/undionly.kpxe", "is what BIOS machines load", "run 'apt install ipxe'" },
		{ "/usr/lib/ipxe/snponly.efi", "is what UEFI machines load", "run 'apt install ipxe'" },
	};

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
		if ((strcmp(programs[i].name, "exportfs") != 0 || check_uses(c, "nfs")) && volumes_want(c, programs[i].name) &&
		    !ssi_spawn_which(programs[i].name))
			check_problem(r, programs[i].advice, "%s, which %s, is not installed", programs[i].name, programs[i].why);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (access(files[i].name, R_OK) < 0)
			check_problem(r, files[i].advice, "%s, which %s, is not there", files[i].name, files[i].why);
}

void check_power(const struct check_context *c, struct check_report *r)
{
	size_t machines = 0;

	if (!c->registry) {
		check_unknown(r, "nodes.d has mistakes");
		return;
	}
	for (size_t i = 0; i < c->registry->n_machines; i++) {
		const struct ssi_machine *m = c->registry->machines[i];
		struct power_agent a;
		struct ssi_err e;

		if (!ssi_machine_value(m, "power"))
			continue;
		machines++;
		if (power_agent_read(m, &a, &e) < 0)
			check_problem(r, "mend it: without power this machine can neither be fenced nor switched on", "%s:%u: %s", m->from.file, m->from.line, e.text);
		else
			power_agent_free(&a);
	}
	if (!r->problem)
		check_note(r, "%zu of %zu machines have a power controller", machines, c->registry->n_machines);
}
