/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what a stage may look like when it came over the wire. Called by the boot dialogue and by JOIN. */
#include "ssi/boot/boot.pb-c.h"
#include "ssi/boot/stage.h"
#include "ssi/boot/text.h"

void ssi_boot_stage_copy(struct ssi_boot_stage *dst, const struct Ssi__Boot__Stage *src)
{
	ssi_text_copy(dst->name, sizeof(dst->name), src->name);
	dst->start_ms = src->start_ms;
	dst->end_ms = src->end_ms;
	dst->tries = src->tries;
}
