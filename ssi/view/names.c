/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names by number. A few hundred at most: those of /proc itself, of a process's files, of /sys/devices/system/cpu. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ssi/view/view.h"

int view_name(struct view *w, const char *name, uint32_t *ret)
{
	struct view_names *n = &w->names;
	char **v;

	for (uint32_t i = 0; i < n->n; i++)
		if (!strcmp(n->v[i], name)) {
			*ret = i;
			return 0;
		}
	if (n->n >= VIEW_NAMES_MAX)
		return -ENOSPC;
	v = reallocarray(n->v, n->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	n->v = v;
	v[n->n] = strdup(name);
	if (!v[n->n])
		return -ENOMEM;
	*ret = n->n++;
	return 0;
}

const char *view_named(const struct view *w, uint32_t name)
{
	return name < w->names.n ? w->names.v[name] : "";
}

void view_names_free(struct view_names *n)
{
	for (uint32_t i = 0; i < n->n; i++)
		free(n->v[i]);
	free(n->v);
	*n = (struct view_names){ 0 };
}
