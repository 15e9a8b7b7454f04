export declare function withSpeeds(text: string): string;
