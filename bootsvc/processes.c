/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what the daemon adds to what nodes tell of their processes. Called by members.c and viewfiles.c. */
#include "bootsvc/processes.h"

#include <errno.h>
#include <string.h>
#include "bootsvc/jobs.h"
#include "bootsvc/viewfiles.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"

#define PROCESSES_MAX (512u << 20)       /* bytes of a table */

static uint64_t wall(void *userdata)
{
	return ssi_clock_wall_ms();
}

static enum ssi_procs_known known(const char *node, const char **ret_system, void *userdata)
{
	struct daemon *d = userdata;
	const struct ssi_head_node *n = ssi_head_node(d->head, node);

	if (!n || (n->state != SSI_NODE_JOINED && n->state != SSI_NODE_SUSPECT))
		return SSI_PROCS_HIDDEN;
	*ret_system = n->system;
	return n->state == SSI_NODE_JOINED ? SSI_PROCS_SHOWN : SSI_PROCS_SILENT;
}

static void told(void *userdata)
{
	viewfiles_told(((struct daemon *)userdata)->viewfiles, VIEWFILE_PROCESSES);
}

static bool job(uint32_t number, const char *node, void *userdata)
{
	const char *is_on = jobs_node_of(((struct daemon *)userdata)->jobs, number);

	return is_on && strcmp(is_on, node) == 0;
}

static const struct ssi_procs_ops ops = { .wall = wall, .known = known, .told = told, .job = job };

/* What the daemon before this one wrote; that there is none, or a broken one, costs nothing but the numbers. */
static void restore(struct daemon *d, struct ssi_procs *p)
{
	_cleanup_free_ char *path = ssi_path_join(d->opt->run, "view/processes"), *bytes = NULL;
	struct ssi_proctable t;
	struct ssi_err e;
	size_t n;

	if (!path || ssi_file_read(path, PROCESSES_MAX, &bytes, &n) < 0)
		return;
	if (ssi_proctable_read(bytes, n, &t, &e) < 0)
		log_warning("%s: %s; processes get new numbers", path, e.text);
	else
		ssi_procs_restore(p, &t);
}

int processes_new(struct daemon *d, struct ssi_procs **ret)
{
	int r = ssi_procs_new(d->ccm, &ops, d, ret);

	if (r >= 0)
		restore(d, *ret);
	return r;
}

int processes_write(struct daemon *d, struct ssi_buf *ret)
{
	return ssi_procs_table(d->procs, ret);
}
