/** How many different characters a completion has: the reward that GRPO is measured with, here and in trl_speed.py. */
export default (_prompt, completion) => new Set(completion).size;
