import { text } from "./text";

const search = `# ${text.searchNote}
query Search {
  search(query: "专精特新 贴息", types: [POLICY], first: 5) {
    totalCount
    edges {
      node {
        __typename
        ... on Policy {
          id
          title
        }
      }
      highlights {
        field
        text
      }
    }
    facets {
      name
      values {
        value
        count
      }
    }
  }
}
`;

const today = `# ${text.todayNote}
query TodayDeclarations {
  todayDeclarations(first: 10) {
    nodes {
      id
      title
      issuer
      applyEnd
      daysLeft
    }
  }
}
`;

const clock = `# ${text.clockNote}
subscription Clock {
  serverTime
}
`;

/** The tabs that a first visit opens; later visits find the tabs as they were left. */
export const examples = [search, today, clock].map((query) => ({ query }));
