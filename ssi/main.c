/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi: what people type. This file is the table of verbs; each is a file of its own, and asks the daemon over the control socket. */
#include <stddef.h>

#include "ssi/verbs.h"

static const struct ssi_cmd cmds[] = {
	{ "status", "", 0, 0, verb_status, "Show the merged systems: nodes, processors, memory, and what is not well", NULL, NULL, 0 },
	{ "node list", "[RANGE]", 0, 1, verb_node_list, "List nodes, a line each", verb_node_list_opts, "@node", 0 },
	{ "node show", "RANGE", 1, 1, verb_node_show, "Show all about nodes: every value with the file that set it, the last boot, the inventory", NULL, "@node", 0 },
	{ "node set", "RANGE KEY=VALUE...", 2, -1, verb_node_set, "Change values of nodes; machine=MAC binds a node to another machine, machine= to none", NULL, "@node", 0 },
	{ "node power", "RANGE on|off|cycle|status", 2, 2, verb_node_power, "Switch the power of the machines of nodes, or ask for it", NULL, "@node", 0 },
	{ "node reboot", "RANGE", 1, 1, verb_node_reboot, "Order nodes to shut down and boot again", NULL, "@node", 0 },
	{ "node drain", "RANGE", 1, 1, verb_node_drain, "Place nothing new on nodes; they stay joined, and what runs there goes on", NULL, "@node", 0 },
	{ "node detach", "RANGE", 1, 1, verb_node_detach, "Take nodes out of the system at once, and keep them out until they are accepted", NULL, "@node", 0 },
	{ "node fence", "RANGE", 1, 1, verb_node_fence, "Make sure that the machines of nodes do no harm any more: storage, then power", verb_node_fence_opts, "@node", 0 },
	{ "node accept", "RANGE", 1, 1, verb_node_accept, "Undo drain and detach", NULL, "@node", 0 },
	{ "node failover", "RANGE", 1, 1, verb_node_failover, "Give nodes that lost their machine to spares, whatever the policy says", NULL, "@node", 0 },
	{ "node move", "NODE", 1, 1, verb_node_move, "Have another machine play a node; one that is up is shut down first", verb_node_move_opts, "@node", 0 },
	{ "node state list", "[RANGE]", 0, 1, verb_node_state_list, "List state volumes: what they are, what they take, what is with them", NULL, "@node", 0 },
	{ "node state show", "RANGE", 1, 1, verb_node_state_show, "Show all about state volumes, with their snapshots", verb_node_state_show_opts, "@node", 0 },
	{ "node state snapshot", "NODE [SNAPSHOT]", 1, 2, verb_node_state_snapshot, "Keep a state volume as it is now; a node that runs stands still for it", NULL, NULL, 0 },
	{ "node state restore", "NODE SNAPSHOT", 2, 2, verb_node_state_restore, "Make a state volume what it was; its node must be off", NULL, NULL, 0 },
	{ "node state rm", "NODE [SNAPSHOT]", 1, 2, verb_node_state_rm, "Remove a state volume, or a snapshot; its node must be off", NULL, NULL, 0 },
	{ "node state accept", "RANGE keep|fresh", 2, 2, verb_node_state_accept, "Decide what lies over the new generation: the volume as it is, or an empty one", NULL, "@node", 0 },
	{ "machine list", "", 0, 0, verb_machine_list, "List the machines that were ever seen", NULL, NULL, 0 },
	{ "machine accept", "MAC", 1, 1, verb_machine_accept, "Take a machine that has failed, or that waits, for a spare", NULL, NULL, 0 },
	{ "machine rm", "MAC", 1, 1, verb_machine_rm, "Forget a machine that is bound to no node", NULL, NULL, 0 },
	{ "load", "[RANGE]", 0, 1, verb_load, "Show what nodes do: processors, memory, pressure", NULL, "@node", 0 },
	{ "kill", "[-SIGNAL] PID...", 1, -1, verb_kill, "Send a signal to processes of the nodes", verb_kill_opts, NULL, -1 },
	{ "ps", "", 0, 0, verb_ps, "Show the processes of the nodes", verb_ps_opts, NULL, 0 },
	{ "top", "", 0, 0, verb_top, "Show what the processes of the nodes use, again and again", verb_top_opts, NULL, 0 },
	{ "policy list", "", 0, 0, verb_policy_list, "List the policies by which programs are placed", NULL, NULL, 0 },
	{ "policy show", "POLICY", 1, 1, verb_policy_show, "Show a policy, and how it sees the nodes now, the best first", verb_policy_show_opts, NULL, 0 },
	{ "policy check", "FILE...", 1, -1, verb_policy_check, "Look for mistakes in files before they are put into policy.d", NULL, "@file", 0 },
	{ "shell", "[COMMAND...]", 0, -1, verb_shell, "A shell, or a command, in which ps, top and all else see the whole system", verb_shell_opts, NULL, 1 },
	{ "run", "COMMAND...", 1, -1, verb_run, "Run a program on a node that has nothing of it; the policy chooses where, or you do", verb_run_opts, NULL, 1 },
	{ "jobs", "", 0, 0, verb_jobs, "List the programs that run so", verb_jobs_opts, NULL, 0 },
	{ "job show", "JOB", 1, 1, verb_job_show, "Show all about a job: where it runs, or how it ended and why", NULL, NULL, 0 },
	{ "job kill", "JOB...", 1, -1, verb_job_kill, "End jobs at once", NULL, NULL, 0 },
	{ "job signal", "SIGNAL JOB...", 2, -1, verb_job_signal, "Send jobs a signal", NULL, NULL, 0 },
	{ "exec", "RANGE COMMAND...", 2, -1, verb_exec, "Run a command on nodes; their lines are prefixed where there are several", verb_exec_opts, "@node", 1 },
	{ 0 },
};

static const struct ssi_opt opts[] = {
	{ "socket", 0, "PATH", "the daemon's control socket ($SSI_SOCKET, else " SSI_RUNDIR "/bootsvc.sock)", "@file" },
	SSI_OPT_OUTPUT,
	{ 0 },
};

static const struct ssi_program program = { "ssi", "one system made of many machines: look at it and use it", cmds, opts };

int main(int argc, char **argv)
{
	return ssi_cmd_main(&program, argc, argv);
}
