/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What nodes tell of their load (doc/wire.md, module 5), the master's side: the last of each is kept, also when its connection goes. */
#include "libssi/comm/ccm.h"
#include "libssi/model/loadtable.h"

/* Borrowed, until the next message of that node or ssi_load_head_forget. */
struct ssi_load_of {
	char name[64];
	const struct ssi_load *load;     /* NULL: it has said nothing yet */
	uint64_t taken_ms;               /* when it came; wall clock */
	uint32_t busy;                   /* of its processors since the message before, in thousandths */
	uint32_t idle_cpus;              /* how many of them were idle in that time, in hundredths */
};
struct ssi_load_ops {
	bool (*member)(struct ssi_ccm_conn *c, void *userdata);   /* is who is there a member, so that it counts what it says? */
	void (*told)(const struct ssi_load_of *n, void *userdata);
};

struct ssi_load_head;
/* Registers its rule; ops is borrowed. */
int ssi_load_head_new(struct ssi_ccm *m, const struct ssi_load_ops *ops, void *userdata, struct ssi_load_head **ret);
void ssi_load_head_free(struct ssi_load_head *h);
const struct ssi_load_of *ssi_load_head_get(const struct ssi_load_head *h, const char *name);      /* NULL: it has said nothing yet */
void ssi_load_head_forget(struct ssi_load_head *h, const char *name);                              /* it is a member no more */
void ssi_load_head_closed(struct ssi_load_head *h, struct ssi_ccm_conn *c);                        /* from the daemon's closed() of ccm */
