import { createRoot } from "react-dom/client";
import { useTopic } from "./use-topic.js";

function Page() {
  const price = useTopic("demo/price"), chat = useTopic("demo/chat", { last: 20 });
  return <>
    <p>Price: <output id="price">{price.value}</output> ({price.state}{price.way && ` over ${price.way}`})</p>
    <ul id="lines">{chat.records.map(({ id, data }) => <li key={id}>{data}</li>)}</ul>
  </>;
}

createRoot(document.getElementById("root")).render(<Page />);
