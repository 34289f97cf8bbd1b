/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what the master knows of this machine's load, so that only what has changed is said. Called by the agent each second. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "ssi/procspace/load-node.h"
#include "ssi/procspace/load.h"

#define TELL_WHOLE_EVERY 60          /* messages: a master that lost one (it took us for gone) is put right by it */

void ssi_load_forget(struct ssi_load_teller *t)
{
	free(t->load);
	*t = (struct ssi_load_teller) { .sequence = t->sequence };
}

int ssi_load_tell(struct ssi_load_teller *t, struct ssi_ccm_conn *c, const struct ssi_load *now)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	_cleanup_free_ struct ssi_load *next = NULL;
	bool whole = !t->load || ++t->since_whole >= TELL_WHOLE_EVERY || !ssi_load_shape_same(&t->load->shape, &now->shape);
	uint64_t *values;
	int r = ssi_load_pack(whole ? NULL : t->load, now, &b);

	if (r < 0)
		return r;
	if (whole) {
		next = ssi_load_new(&now->shape, &values);
		if (!next)
			return -ENOMEM;
	}
	r = ssi_ccm_send(c, SSI_MOD_PROCSPACE, SSI_PROCSPACE_LOAD, t->sequence + 1, b.data, b.len);
	if (r < 0)
		return r;
	t->sequence++;
	if (whole) {
		free(t->load);
		t->load = TAKE_PTR(next);
		t->since_whole = 0;
	}
	memcpy((uint64_t *)t->load->values, now->values, ssi_load_values(&now->shape) * sizeof(uint64_t));
	return 0;
}
