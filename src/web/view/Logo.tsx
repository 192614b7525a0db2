/** Logo: the sign of the page. */
import url from "../favicon.svg"

export const Logo = () => <img class="logo" src={url} width={32} height={32} alt="" />
