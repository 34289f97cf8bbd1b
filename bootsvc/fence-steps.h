/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The steps of a fence, each with its proof. */
#include "bootsvc/daemon.h"
#include "bootsvc/fence-plan.h"

/* err 0: proved, by text. Else why it is not. proof and why are borrowed for the call. */
typedef void (*fence_step_done)(int err, const char *proof, const struct ssi_err *why, void *userdata);
struct fence_run;
/* done is called once, later, from the loop; *ret is of no more use then. Negative: it could not be begun, e says why; done is not called. */
int fence_step_run(struct daemon *d, enum fence_step step, const struct state_fence *f, fence_step_done done, void *userdata, struct fence_run **ret,
		   struct ssi_err *e);
/* done is not called any more. What was begun may go on by itself: switching off does. NULL is fine. */
void fence_step_abandon(struct fence_run *x);
