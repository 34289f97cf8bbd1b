/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a program that serves hands to the next one, in a memfd: {u32 epoch, u32 size of each init}, the FUSE_INIT message of each file system as it
 * came, then the names by their number, each with a NUL. All from a program of the same name, run by root: it is not checked beyond its sizes.
 */
#include <stdint.h>
#include "ssi/view/serve.h"
#include "ssi/view/view.h"

struct serve_state { uint32_t epoch; struct ssi_buf init[SERVE_FS]; };
int serve_state_write(const struct serve_state *s, const struct view *w);             /* the descriptor, which survives exec; -errno */
int serve_state_read(int fd, struct serve_state *s, struct view *w);                  /* closes fd. 0 or -errno */
