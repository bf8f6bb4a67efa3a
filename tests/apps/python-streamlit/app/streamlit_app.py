import streamlit as st

st.title("Compound interest")
years = st.slider("Years", 1, 30, 10)
st.metric("After these years", f"{1000 * 1.03**years:.2f}")
