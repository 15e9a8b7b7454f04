import type { AddCommand } from '../command.ts';
import { print } from '../output.ts';

export const addToyCommand: AddCommand = (parent, { action }) => {
  parent
    .command('hello')
    .description('Say hello.')
    .action(
      action(async () => {
        print('hello', false);
        return 0;
      }),
    );
};
