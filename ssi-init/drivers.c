/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * init-drivers: a helper of ssi-init, the only program of the boot that links libkmod (and what that brings). PID 1 runs it as
 *
 *     init-drivers boot             the drivers that the boot needs: network, and storage for a root on a disk
 *     init-drivers modules          the modules that mount the root, by name, while the network comes up
 *     init-drivers load NAME        one module
 *     init-drivers rest             all further hardware, after the switch, from the image's modules
 *
 * What it does not do well: it loads one module after another; "boot" and "modules" run side by side instead.
 */
#include <errno.h>
#include <libkmod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "ssi-init/boot.h"
#include "ssi-init/coldplug.h"
#include "ssi-init/outcome.h"

#define SYS "/sys"
#define ROUNDS_MAX 8

struct drivers {
	struct kmod_ctx *kmod;
	struct boot boot;
	struct coldplug_seen seen;
	const char *module;             /* the one to load */
	bool all;                       /* every device, not what the boot needs alone */
	unsigned loaded;                /* modules, in this round */
	struct ssi_err broken;          /* the first module that should have loaded and did not */
	char orphan[COLDPLUG_ALIAS_MAX + 64];   /* a network device that no module wants */
};

/* For ssi.debug: what a boot's time goes into. */
static void drivers_trace(const char *what, const char *name)
{
	log_debug("%llu ms: %s %s", (unsigned long long)ssi_clock_boot_ms(), what, name);
}

/* One module with all it depends on. A blacklisted one is passed over. */
static int drivers_insert(struct drivers *d, struct kmod_module *m, struct ssi_err *e)
{
	const char *name = kmod_module_get_name(m);
	int state = kmod_module_get_initstate(m), r;

	if (state == KMOD_MODULE_BUILTIN || state == KMOD_MODULE_LIVE)
		return 0;
	outcome_note("loading module %s", name);
	drivers_trace("loading", name);
	r = kmod_module_probe_insert_module(m, KMOD_PROBE_APPLY_BLACKLIST, NULL, NULL, NULL, NULL);
	if (r == KMOD_PROBE_APPLY_BLACKLIST)
		return 0;
	if (r < 0 && r != -EEXIST)
		return ssi_errno(e, r, "module %s (%s)", name, kmod_module_get_path(m) ?: "no file");
	drivers_trace("loaded", name);
	d->loaded++;
	return 0;
}

/* What has this name or alias. Returns how many modules there were. */
static int drivers_load(struct drivers *d, const char *alias, struct ssi_err *e)
{
	struct kmod_list *list = NULL, *l;
	int r = kmod_module_new_from_lookup(d->kmod, alias, &list), n = 0, bad = 0;

	if (r < 0)
		return ssi_errno(e, r, "looking up %s", alias);
	kmod_list_foreach(l, list) {
		struct kmod_module *m = kmod_module_get_module(l);

		r = drivers_insert(d, m, e);
		if (r < 0)
			bad = r;
		kmod_module_unref(m);
		n++;
	}
	kmod_module_unref_list(list);
	return bad ? bad : n;
}

static int drivers_device(const struct coldplug_device *dev, void *userdata)
{
	struct drivers *d = userdata;
	struct ssi_err e = { 0 };
	int r;

	if (!d->all && dev->class != COLDPLUG_NETWORK && (dev->class != COLDPLUG_STORAGE || boot_has_master(&d->boot)))
		return 0;
	if (dev->driven || coldplug_seen(&d->seen, dev->alias))
		return 0;
	r = drivers_load(d, dev->alias, &e);
	if (r < 0 && !d->broken.code)
		d->broken = e;
	if (r == 0 && dev->class == COLDPLUG_NETWORK)
		snprintf(d->orphan, sizeof(d->orphan), "%s (%s)", strrchr(dev->path, '/') + 1, dev->alias);
	return 0;
}

/* A driver brings forth devices (virtio_pci a virtio bus), so walk again until nothing new was loaded. */
static int drivers_rounds(struct drivers *d, struct ssi_err *e)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		int r;

		d->loaded = 0;
		r = coldplug_walk(SYS, drivers_device, d, e);
		if (r < 0)
			return r;
		if (!d->loaded)
			return 0;
	}
	return 0;
}

static bool drivers_have_interface(const struct drivers *d)
{
	char name[16];

	return !d->boot.args.mac[0] || coldplug_interface(SYS, d->boot.args.mac, name) > 0;
}

static int drivers_boot(struct drivers *d, struct ssi_err *e)
{
	int r = drivers_rounds(d, e);

	if (r < 0)
		return r;
	/* It may hang on something less usual: USB, a hypervisor's own bus. */
	if (!drivers_have_interface(d)) {
		d->all = true;
		d->seen.n = 0;
		r = drivers_rounds(d, e);
		if (r < 0)
			return r;
	}
	if (drivers_have_interface(d))
		return 0;
	if (d->broken.code)
		return ssi_errf(e, d->broken.code, "%s", d->broken.text);
	if (d->orphan[0])
		return ssi_errf(e, -ENODEV, "no driver in the initramfs for network device %s", d->orphan);
	return 0;       /* the network stage says which interfaces there are */
}

static int drivers_modules(struct drivers *d, struct ssi_err *e)
{
	const struct { const char *name; bool wanted; } modules[] = {
		{ "nfsv4", boot_is_nfs(&d->boot) || boot_has_shared(&d->boot) },
		{ "erofs", !boot_is_nfs(&d->boot) },
		{ "loop", boot_is_ram(&d->boot) },
		{ "sd_mod", boot_is_iscsi(&d->boot) },
		{ "iscsi_tcp", boot_is_iscsi(&d->boot) },
		{ "ext4", d->boot.args.state[0] },
		{ "overlay", true },
	};

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		int r = modules[i].wanted ? drivers_load(d, modules[i].name, e) : 1;

		if (r < 0)
			return r;
		if (r == 0)
			return ssi_errf(e, -ENOENT, "no module %s in the initramfs", modules[i].name);
	}
	return 0;
}

static int drivers_rest(struct drivers *d, struct ssi_err *e)
{
	d->all = true;
	return drivers_rounds(d, e);
}

static int drivers_open(struct drivers *d, struct ssi_err *e)
{
	const char *no_config = NULL;
	struct utsname u;
	char path[256];

	uname(&u);
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep.bin", u.release);
	if (access(path, R_OK) < 0)
		return ssi_errno(e, -errno, "%s: the modules of this kernel are missing", path);
	d->kmod = kmod_new(NULL, d->all ? NULL : &no_config);
	if (!d->kmod)
		return ssi_errno(e, -ENOMEM, "kmod");
	kmod_set_log_priority(d->kmod, 0);
	return kmod_load_resources(d->kmod) < 0 ? ssi_errf(e, -EIO, "%s: cannot be read", path) : 0;
}

static int drivers_one(struct drivers *d, struct ssi_err *e)
{
	int r = drivers_load(d, d->module, e);

	return r == 0 ? ssi_errf(e, -ENOENT, "no module %s in the initramfs", d->module) : r < 0 ? r : 0;
}

static const struct { const char *name; int words; int (*run)(struct drivers *d, struct ssi_err *e); } jobs[] = {
	{ "boot", 2, drivers_boot }, { "modules", 2, drivers_modules }, { "load", 3, drivers_one }, { "rest", 2, drivers_rest },
};

int main(int argc, char **argv)
{
	static struct drivers d;
	struct ssi_err e = { 0 };
	int r = -EINVAL;

	ssi_log_open("ssi-init", LOG_INFO);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]) && argc > 1; i++) {
		if (argc != jobs[i].words || strcmp(argv[1], jobs[i].name) != 0)
			continue;
		d.module = argv[argc - 1];
		d.all = jobs[i].run == drivers_rest;
		r = boot_read_args(&d.boot, &e);
		if (d.boot.args.debug)
			ssi_log_open("ssi-init", LOG_DEBUG);
		drivers_trace("drivers", argv[1]);
		if (r == 0)
			r = drivers_open(&d, &e);
		if (r == 0)
			r = jobs[i].run(&d, &e);
		drivers_trace("done:", argv[1]);
		/* "rest" runs without a stage that would say it. */
		if (r < 0 && jobs[i].run == drivers_rest)
			log_warning("the rest of the hardware: %s", e.text);
		outcome_put(&e);
		kmod_unref(d.kmod);
		return r < 0;
	}
	fprintf(stderr, "init-drivers: a helper of ssi-init(8): init-drivers boot|modules|load NAME|rest\n");
	return 2;
}
