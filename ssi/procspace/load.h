/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A load of one's own (libssi/model/loadtable.h), and what it is as a message. Used by both sides. */
#include "libssi/model/loadtable.h"

#define SSI_LOAD_MESSAGE_MAX (96u << 10)

struct Ssi__Procspace__Load;
/* One piece of memory with a copy of the shape and all values 0, which may be written through *ret_values; free() it. NULL: no memory. */
struct ssi_load *ssi_load_new(const struct ssi_load_shape *s, uint64_t **ret_values);
/* The message that makes before (whose shape is the same; NULL: it is told whole) into now. 0, -ENOMEM, -EMSGSIZE. */
int ssi_load_pack(const struct ssi_load *before, const struct ssi_load *now, struct ssi_buf *ret);
/* A message's shape. -EBADMSG: past the bounds; -ENOMEM. */
int ssi_load_take_shape(const struct Ssi__Procspace__Load *m, struct ssi_load **ret, uint64_t **ret_values);
/* A message's changes. -EBADMSG: there are no such values; some may have been changed. */
int ssi_load_take_values(const struct Ssi__Procspace__Load *m, const struct ssi_load *l, uint64_t *values);
